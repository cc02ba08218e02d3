//! What a service measures of itself, read as a monitoring system reads it.

use anyhow::Context;

/// One look at a service's `/metrics`.
#[derive(Debug)]
pub struct Measures(String);

impl Measures {
    pub async fn of(service: &lab::Service) -> anyhow::Result<Self> {
        let text = reqwest::Client::builder()
            .timeout(std::time::Duration::from_secs(5))
            .build()?
            .get(format!("{}/metrics", service.admin))
            .send()
            .await?
            .error_for_status()?
            .text()
            .await
            .with_context(|| format!("{} has no metrics", service.name))?;
        Ok(Self(text))
    }

    /// The same sum over all services whose names begin so.
    ///
    /// # Errors
    /// When one of them does not tell.
    pub async fn sum_of_all(
        services: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for service in lab::Lab::load()?.services {
            if service.name.starts_with(services) {
                sum += Self::of(&service)
                    .await?
                    .sum(name, labels)
                    .unwrap_or_default();
            }
        }
        Ok(sum)
    }

    /// The sum of every series of this name that has all these labels. None if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        self.0
            .lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (found, rest) = series.split_once('{').unwrap_or((series, ""));
                let wanted = found == name && labels.iter().all(|label| rest.contains(label));
                wanted.then(|| value.parse::<f64>().ok()).flatten()
            })
            .reduce(|sum, value| sum + value)
    }
}
