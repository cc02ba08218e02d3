//! Whatever makes pods, and what it makes them of.

use serde_json::Value;

use crate::Object;

#[derive(Debug)]
pub struct PodTemplate<'a> {
    pub owner: &'a Object,
    /// The template: metadata and spec.
    pub template: &'a Value,
}

impl PodTemplate<'_> {
    pub fn at(&self, pointer: &str) -> &Value {
        self.template.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub fn containers(&self) -> impl Iterator<Item = &Value> {
        ["/spec/initContainers", "/spec/containers"]
            .into_iter()
            .filter_map(|pointer| self.template.pointer(pointer)?.as_array())
            .flatten()
    }

    pub fn volumes(&self) -> impl Iterator<Item = &Value> {
        self.at("/spec/volumes").as_array().into_iter().flatten()
    }

    /// Whether a selector with labels to match selects these pods.
    pub fn is_selected_by(&self, selector: &Value) -> bool {
        let labels = self.at("/metadata/labels");
        let label = |key: &str| labels.get(key).and_then(Value::as_str);
        let matches = selector
            .get("matchLabels")
            .and_then(Value::as_object)
            .is_none_or(|wanted| {
                wanted
                    .iter()
                    .all(|(key, value)| label(key) == value.as_str())
            });
        let expressions = selector.get("matchExpressions").and_then(Value::as_array);
        matches
            && expressions.is_none_or(|all| {
                all.iter().all(|expression| {
                    let key = expression.get("key").and_then(Value::as_str);
                    let values = expression.get("values").and_then(Value::as_array);
                    // the only operator that is used here
                    expression.get("operator").and_then(Value::as_str) == Some("In")
                        && values.is_some_and(|values| {
                            values
                                .iter()
                                .any(|value| value.as_str() == key.and_then(label))
                        })
                })
            })
    }
}

/// Every template of these objects.
pub fn pod_templates(objects: &[Object]) -> Vec<PodTemplate<'_>> {
    objects
        .iter()
        .filter_map(|owner| {
            let pointer = match owner.kind() {
                "Deployment" | "StatefulSet" | "Job" => "/spec/template",
                "CronJob" => "/spec/jobTemplate/spec/template",
                _ => return None,
            };
            let template = owner.0.pointer(pointer)?;
            Some(PodTemplate { owner, template })
        })
        .collect()
}
