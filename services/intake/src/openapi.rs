//! The description of the public door, kept beside the handlers: change both together.

use serde_json::{Value, json};

use crate::door::{EVENTS, JWKS, OPENAPI, OPERATION};

/// OpenAPI 3.1.
pub(crate) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Writeback intake",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Carries password resets, changes and unlocks home to on-premises Active Directory.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": {
            (EVENTS): { "post": post_event() },
            (OPERATION): { "get": get_operation() },
            (JWKS): { "get": {
                "operationId": "getKeys",
                "summary": "The public keys to seal passwords with",
                "security": [],
                "responses": {
                    "200": { "description": "Each key has kid, use, alg and forest.",
                             "content": { "application/jwk-set+json": { "schema": { "type": "object" } } } },
                    "405": problem("Another method than GET."),
                    "500": problem("An error of this service."),
                },
            } },
            (OPENAPI): { "get": {
                "operationId": "getDescription",
                "summary": "This document",
                "security": [],
                "responses": {
                    "200": { "description": "OpenAPI 3.1.",
                             "content": { "application/json": { "schema": { "type": "object" } } } },
                    "405": problem("Another method than GET."),
                    "500": problem("An error of this service."),
                },
            } },
        },
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT (RFC 9068)" },
            },
            "schemas": {
                "Data": data(),
                "Event": event(),
                "Operation": operation(),
                "Problem": problem_schema(),
            },
        },
        "security": [{ "token": [] }],
    })
}

fn post_event() -> Value {
    json!({
        "operationId": "postEvent",
        "summary": "Ask for a reset, a change or an unlock",
        "description": "A CloudEvent 1.0 in binary, structured or batched mode. Needs the scope password.reset, password.change or account.unlock, by the event's type. The same source and id are the same operation: a repeat gets the first one's result.",
        "parameters": [
            { "name": "Prefer", "in": "header", "schema": { "type": "string" },
              "description": "respond-async: answer 202 at once. wait=N: answer within N seconds (RFC 7240), five minutes at most. Without it the answer takes as long as an operation without expirytime may take, 30 seconds unless configured otherwise, and a few for its end to arrive; then it is 202." },
            { "name": "ce-specversion", "in": "header", "schema": { "type": "string", "const": "1.0" }, "description": "Binary mode." },
            { "name": "ce-id", "in": "header", "schema": { "type": "string", "maxLength": 512 }, "description": "Binary mode." },
            { "name": "ce-source", "in": "header", "schema": { "type": "string", "maxLength": 1024 }, "description": "Binary mode." },
            { "name": "ce-type", "in": "header", "schema": { "type": "string" }, "description": "Binary mode." },
            { "name": "ce-expirytime", "in": "header", "schema": { "type": "string", "format": "date-time" },
              "description": "Binary mode: the deadline, at most 24 hours ahead; what arrives after it ends expired." },
        ],
        "requestBody": {
            "required": true,
            "description": "At most 256 KiB.",
            "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Data" } },
                "application/cloudevents+json": { "schema": { "$ref": "#/components/schemas/Event" } },
                "application/cloudevents-batch+json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Event" } } },
            },
        },
        "responses": {
            "200": { "description": "Applied.", "headers": preference_applied(),
                     "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Operation" } } } },
            "202": {
                "description": "Pending: ask again at Location. For a batch: the operations of its events, in their order.",
                "headers": { "Location": { "schema": { "type": "string" } },
                             "Preference-Applied": { "schema": { "type": "string" } } },
                "content": { "application/json": { "schema": { "oneOf": [
                    { "$ref": "#/components/schemas/Operation" },
                    { "type": "object", "required": ["operations"], "properties": { "operations": {
                        "type": "array", "items": { "type": "object", "required": ["id", "location"], "properties": {
                            "id": { "type": "string", "format": "uuid" }, "location": { "type": "string" } } } } } },
                ] } } },
            },
            "400": problem("Malformed; the field is named."),
            "401": challenge("No access token, or one that is not accepted."),
            "403": challenge("The token lacks the scope; or writeback-disabled, unlock-disabled."),
            "404": problem("user-not-found"),
            "405": problem("Another method than POST."),
            "408": problem("The body did not arrive in time."),
            "409": problem("user-ambiguous, superseded"),
            "413": problem("The body is larger than 256 KiB."),
            "415": problem("Not one of the three content types, or a Content-Encoding."),
            "422": problem("Every other refusal: password-policy, incorrect-password, account-locked, account-disabled, access-denied, protected-account, cannot-change-password, out-of-scope, seal-invalid."),
            "429": retry("Too many in flight, or for this person."),
            "500": problem("An error of this service."),
            "502": problem("directory-error, directory-misconfigured"),
            "503": retry("forest-unavailable, or the ledger cannot be reached."),
            "504": problem("deadline-exceeded"),
        },
    })
}

fn get_operation() -> Value {
    json!({
        "operationId": "getOperation",
        "summary": "Where an operation stands",
        "description": "Needs the scope operations.read.",
        "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } },
        ],
        "responses": {
            "200": { "description": "Whatever its status.",
                     "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Operation" } } } },
            "400": problem("The id is not a UUID."),
            "401": challenge("No access token, or one that is not accepted."),
            "403": challenge("The token lacks the scope."),
            "404": problem("There is no such operation."),
            "405": problem("Another method than GET."),
            "500": problem("An error of this service."),
            "503": retry("The ledger cannot be reached."),
        },
    })
}

fn preference_applied() -> Value {
    json!({ "Preference-Applied": { "schema": { "type": "string" } } })
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn with_header(description: &str, name: &str, kind: &str) -> Value {
    let mut response = problem(description);
    if let Some(members) = response.as_object_mut() {
        members.insert(
            "headers".to_owned(),
            json!({ (name): { "schema": { "type": kind } } }),
        );
    }
    response
}

fn challenge(description: &str) -> Value {
    with_header(description, "WWW-Authenticate", "string")
}

fn retry(description: &str) -> Value {
    with_header(description, "Retry-After", "integer")
}

fn event() -> Value {
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1, "maxLength": 512 },
            "source": { "type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 1024 },
            "type": { "enum": ["dev.writeback.password.reset", "dev.writeback.password.change", "dev.writeback.account.unlock"] },
            "time": { "type": ["string", "null"], "format": "date-time" },
            "subject": { "type": ["string", "null"] },
            "datacontenttype": { "type": ["string", "null"] },
            "expirytime": { "type": ["string", "null"], "format": "date-time" },
            "data": { "$ref": "#/components/schemas/Data" },
            "data_base64": { "type": ["string", "null"] },
        },
    })
}

fn data() -> Value {
    json!({
        "type": "object",
        "description": "A member nobody knows is ignored, one that is nearly one of these is not. null is the same as left out.",
        "required": ["user", "initiator"],
        "properties": {
            "user": {
                "type": "object",
                "description": "At least one of the first three; all that are given must agree.",
                "properties": {
                    "sourceAnchor": { "type": ["string", "null"], "description": "Base64 of 16 bytes." },
                    "securityIdentifier": { "type": ["string", "null"] },
                    "userPrincipalName": { "type": ["string", "null"] },
                    "domain": { "type": ["string", "null"] },
                },
            },
            "initiator": {
                "type": "object",
                "required": ["kind"],
                "properties": { "kind": { "enum": ["user", "administrator"] }, "id": { "type": ["string", "null"], "maxLength": 256 } },
            },
            "sealedPassword": { "type": ["string", "object", "null"], "description": "JWE, compact or General JSON; for a reset and a change." },
            "mustChangeAtNextSignIn": { "type": ["boolean", "null"], "default": false, "description": "Only for an administrator's reset." },
            "unlock": { "type": ["boolean", "null"], "default": true },
        },
    })
}

fn operation() -> Value {
    json!({
        "type": "object",
        "required": ["id", "status", "kind", "forest", "reason", "acceptedAt", "completedAt", "steps"],
        "properties": {
            "id": { "type": "string", "format": "uuid" },
            "status": { "enum": ["pending", "applied", "refused", "failed", "expired"] },
            "kind": { "enum": ["reset", "change", "unlock"] },
            "forest": { "type": ["string", "null"] },
            "reason": { "type": ["string", "null"] },
            "eventId": { "type": "string" },
            "actor": { "enum": ["person", "administrator", "retry"] },
            "detail": { "type": "string" },
            "violations": violations(),
            "notes": { "type": "array", "items": { "type": "string" } },
            "acceptedAt": { "type": "string", "format": "date-time" },
            "completedAt": { "type": ["string", "null"], "format": "date-time" },
            "steps": { "type": "array", "items": { "type": "object", "properties": {
                "at": { "type": "string", "format": "date-time" }, "service": { "type": "string" },
                "step": { "type": "string" }, "detail": { "type": "string" } } } },
        },
    })
}

fn violations() -> Value {
    json!({ "type": "array", "items": { "type": "object", "required": ["rule", "message"], "properties": {
        "rule": { "type": "string" }, "message": { "type": "string" } } } })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "field": { "type": "string", "description": "Of a malformed event: which field." },
            "reason": { "enum": operation::Reason::ALL },
            "eventId": { "type": "string" },
            "actor": { "enum": ["person", "administrator", "retry"] },
            "operationId": { "type": "string", "format": "uuid" },
            "violations": violations(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::status_of;

    #[test]
    fn every_route_and_status_is_in_the_document() {
        let document = document();
        let statuses = |route: &str, method: &str| {
            document["paths"][route][method]["responses"]
                .as_object()
                .unwrap_or_else(|| panic!("{method} {route} is missing"))
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let post = statuses(EVENTS, "post");
        for status in [200, 202, 400, 401, 403, 405, 408, 413, 415, 429, 500, 503] {
            assert!(post.contains(&status.to_string()), "{status}");
        }
        for reason in operation::Reason::ALL {
            assert!(
                post.contains(&status_of(*reason).as_u16().to_string()),
                "{reason}"
            );
        }
        let get = statuses(OPERATION, "get");
        for status in [200, 400, 401, 403, 404, 405, 500, 503] {
            assert!(get.contains(&status.to_string()), "{status}");
        }
        for route in [JWKS, OPENAPI] {
            assert_eq!(statuses(route, "get"), ["200", "405", "500"]);
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
