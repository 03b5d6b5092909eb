//! What an endpoint is and how it stands, going by its own page of metrics.
//!
//! Pure: a text in, facts out.

use std::fmt;

use serde::Serialize;

/// What an endpoint is, going by its own metrics.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// `VictoriaMetrics`, single or a component of a cluster.
    VictoriaMetrics,
    /// `VictoriaLogs`.
    VictoriaLogs,
    /// `VictoriaTraces`.
    VictoriaTraces,
    /// A `vmauth` in front of any of them.
    Vmauth,
    /// None of these, or it does not tell.
    Unknown,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::VictoriaLogs => "VictoriaLogs",
            Self::VictoriaTraces => "VictoriaTraces",
            Self::Vmauth => "vmauth",
            Self::Unknown => "an unknown product",
        })
    }
}

/// What a page of metrics says about who publishes it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsPage {
    /// Whose it is.
    pub product: Product,
    /// The whole version, such as `victoria-metrics-20260101-v1.150.0`, in at most 64 characters;
    /// builds of one's own have none.
    pub version: Option<String>,
    /// Free disk space where it keeps data, in bytes.
    pub disk_free: Option<f64>,
    /// With less free disk space than that it stops taking data.
    pub disk_limit: Option<f64>,
    /// What its data takes, in bytes.
    pub data_size: Option<f64>,
    /// Whether it has stopped taking data.
    pub read_only: bool,
}

impl MetricsPage {
    /// Reads a page. What isn't understood is passed over.
    pub fn parse(page: &str) -> Self {
        let (product, version) = recognize(page);
        let mut read = Self {
            product,
            version,
            disk_free: None,
            disk_limit: None,
            data_size: None,
            read_only: false,
        };
        for line in page.lines() {
            read.take(line);
        }
        read
    }

    /// How much of the disk that its data may use is free, in percent.
    pub fn disk_free_percent(&self) -> Option<f64> {
        let free = self.disk_free?;
        let whole = free + self.data_size.unwrap_or(0.0);
        (whole > 0.0).then(|| 100.0 * free / whole)
    }

    /// Which of the components of a cluster it is: only one of them takes queries, another data.
    pub(crate) fn is_component(&self, name: &str) -> bool {
        let version = self.version.as_deref().unwrap_or_default();
        version.starts_with(name)
    }

    fn take(&mut self, line: &str) {
        const PREFIXES: [&str; 3] = ["vm_", "vl_", "vt_"];
        let rest = PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix));
        let Some(rest) = rest else { return };
        let name = rest.split(['{', ' ']).next().unwrap_or_default();
        let total = match name {
            "free_disk_space_bytes" => &mut self.disk_free,
            "free_disk_space_limit_bytes" => &mut self.disk_limit,
            "data_size_bytes" => &mut self.data_size,
            "storage_is_read_only" => {
                self.read_only |= value(rest).is_some_and(|value| value > 0.0);
                return;
            }
            _ => return,
        };
        if let Some(value) = value(rest) {
            *total = Some(total.unwrap_or(0.0) + value);
        }
    }
}

/// The value of a line: what stands behind its labels, which may contain anything.
fn value(line: &str) -> Option<f64> {
    let behind = line.rsplit('}').next()?;
    let text = behind.split_ascii_whitespace();
    let mut text = text.skip(usize::from(!line.contains('}')));
    text.next()?.parse().ok()
}

/// What a page of metrics is of. Builds without a version are known by the names of their metrics.
fn recognize(page: &str) -> (Product, Option<String>) {
    let version = page
        .lines()
        .find_map(|line| line.strip_prefix("vm_app_version{version=\""))
        .and_then(|rest| rest.split_once('"'))
        .map(|(version, _)| version)
        .filter(|version| !version.is_empty());
    let named = version.and_then(|version| {
        [
            ("victoria-metrics", Product::VictoriaMetrics),
            ("vmselect", Product::VictoriaMetrics),
            ("vminsert", Product::VictoriaMetrics),
            ("victoria-logs", Product::VictoriaLogs),
            ("vlselect", Product::VictoriaLogs),
            ("vlinsert", Product::VictoriaLogs),
            ("victoria-traces", Product::VictoriaTraces),
            ("vtselect", Product::VictoriaTraces),
            ("vtinsert", Product::VictoriaTraces),
            ("vmauth", Product::Vmauth),
        ]
        .into_iter()
        .find(|(prefix, _)| version.starts_with(prefix))
        .map(|(_, product)| product)
    });
    // VictoriaTraces has metrics of VictoriaLogs, too, and all of them have some of `vm_`.
    let by_metrics = || {
        [
            ("vmauth_", Product::Vmauth),
            ("vt_", Product::VictoriaTraces),
            ("vl_", Product::VictoriaLogs),
            ("vm_rows", Product::VictoriaMetrics),
        ]
        .into_iter()
        .find(|(prefix, _)| page.lines().any(|line| line.starts_with(prefix)))
        .map_or(Product::Unknown, |(_, product)| product)
    };
    let version = version.map(|version| version.chars().take(VERSION_LIMIT).collect());
    (named.unwrap_or_else(by_metrics), version)
}

/// Longest version told, in characters.
const VERSION_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_known_by_version_or_by_their_metrics() {
        for (page, product, version) in [
            (
                "vm_app_version{version=\"victoria-metrics-20260101-v1.150.0\", short_version=\"v1.150.0\"} 1\n",
                Product::VictoriaMetrics,
                Some("victoria-metrics-20260101-v1.150.0"),
            ),
            (
                "vl_rows 1\nvt_rows_ingested_total 1\nvm_app_version{version=\"victoria-traces-v0.11.0\"} 1\n",
                Product::VictoriaTraces,
                Some("victoria-traces-v0.11.0"),
            ),
            (
                "vm_app_version{version=\"\", short_version=\"\"} 1\nvm_rows_inserted_total 4\n",
                Product::VictoriaMetrics,
                None,
            ),
            (
                "vm_app_start_timestamp 1\nvl_rows 1\n",
                Product::VictoriaLogs,
                None,
            ),
            ("vl_rows 1\nvt_rows 1\n", Product::VictoriaTraces, None),
            ("vmauth_user_requests_total 1\n", Product::Vmauth, None),
            ("go_goroutines 7\n", Product::Unknown, None),
            ("", Product::Unknown, None),
        ] {
            let read = MetricsPage::parse(page);
            assert_eq!(
                (read.product, read.version.as_deref()),
                (product, version),
                "{page}"
            );
        }
    }

    /// Space is summed up over the places where data is kept, whatever their names contain.
    #[test]
    fn disks_are_read_from_the_page() {
        let read = MetricsPage::parse(
            "# TYPE vm_free_disk_space_bytes gauge\n\
             vm_free_disk_space_bytes{path=\"/a } 7\"} 30\n\
             vm_free_disk_space_bytes{path=\"/b\"} 1e1\n\
             vm_free_disk_space_limit_bytes{path=\"/a\"} 5\n\
             vm_data_size_bytes{type=\"indexdb/file\"} 100\n\
             vm_data_size_bytes{type=\"storage/big\"} 260\n\
             vm_storage_is_read_only{path=\"/a\"} 0\n\
             vl_storage_is_read_only 1\n\
             vm_free_disk_space_bytes_other 9\n\
             vm_free_disk_space_bytes{path=\"/c\"} broken\n",
        );
        assert_eq!(read.disk_free, Some(40.0));
        assert_eq!(read.disk_limit, Some(5.0));
        assert_eq!(read.disk_free_percent(), Some(10.0));
        assert!(read.read_only);
        let silent = MetricsPage::parse("vm_rows 1\n");
        assert_eq!(
            (silent.disk_free_percent(), silent.read_only),
            (None, false)
        );
    }
}
