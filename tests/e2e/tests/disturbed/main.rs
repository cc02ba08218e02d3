//! The product while parts of what it stands on are away: nothing else may run beside this.

mod readiness;
