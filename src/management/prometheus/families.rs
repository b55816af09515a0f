//! How metrics of many objects become families of series.

use std::collections::HashSet;
use std::sync::Arc;

use crate::management::prometheus::names;
use crate::management::prometheus::names::Metric;
use crate::management::prometheus::text::Family;
use crate::management::prometheus::text::Number;
use crate::management::prometheus::text::Table;
use crate::management::prometheus::text::labels;
use crate::vhost::QueueHandle;

/// Numbers of objects that a page holds at most, 8 MiB of them.
const TABLE_NUMBERS_MAX: usize = 1024 * 1024;

pub(super) type Queues = Arc<Vec<Arc<QueueHandle>>>;

pub(super) fn named(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}

/// Metrics of wanted families, without the second of one name.
pub(super) fn once_each<'a, T>(
    metrics: &'a [Metric<T>],
    is_wanted: &'a impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'a Metric<T>> {
    let mut seen = HashSet::new();
    metrics
        .iter()
        .filter(|metric| is_wanted(metric.family))
        .filter(move |metric| seen.insert(metric.name))
}

fn queue_labels(queue: &Arc<QueueHandle>) -> String {
    labels(&[("vhost", &queue.vhost), ("queue", &queue.name)])
}

/// Numbers of queues. They are read together, of each queue in one visit, unless there are so many that they would take more
/// memory than a page may: then each is read when it is written.
pub(super) fn of_queues(
    prefix: &str,
    queues: &Queues,
    is_wanted: &impl Fn(&str) -> bool,
) -> Vec<Family> {
    let wanted: Vec<_> = once_each(names::QUEUES, is_wanted).collect();
    if queues.len().saturating_mul(wanted.len()) > TABLE_NUMBERS_MAX {
        let streamed = wanted.into_iter().map(|metric| {
            let read = metric.read;
            each(prefix, metric, queues, move |queue| {
                (queue_labels(queue), Number::Whole(queue.look(read)))
            })
        });
        return streamed.collect();
    }
    let table = Table::of(queues, wanted.len(), queue_labels, |queue, row| {
        queue.look(|state| {
            for (number, metric) in row.iter_mut().zip(&wanted) {
                *number = (metric.read)(state);
            }
        });
    });
    let columns = wanted.iter().enumerate().map(|(column, metric)| {
        let name = named(prefix, metric.name);
        Family::column(name, metric.kind, metric.help, &table, column)
    });
    columns.collect()
}

/// A series for each object, read when it is written.
pub(super) fn each<T, O: Send + Sync + 'static>(
    prefix: &str,
    metric: &Metric<T>,
    objects: &Arc<Vec<O>>,
    row: impl Fn(&O) -> (String, Number) + Send + 'static,
) -> Family {
    let objects = Arc::clone(objects);
    let rows = (0..objects.len()).map(move |index| row(&objects[index]));
    Family::of(named(prefix, metric.name), metric.kind, metric.help, rows)
}

/// One series for each metric.
pub(super) fn singles<T>(
    prefix: &str,
    metrics: &[Metric<T>],
    of: &T,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Family> {
    let wanted = metrics.iter().filter(|metric| is_wanted(metric.family));
    wanted
        .map(|metric| {
            let number = Number::Whole((metric.read)(of));
            Family::single(named(prefix, metric.name), metric.kind, metric.help, number)
        })
        .collect()
}

/// Sums, in the order of their metrics.
pub(super) fn summed<T>(metrics: &[Metric<T>], sums: &[u64]) -> Vec<Family> {
    let mut seen = HashSet::new();
    let pairs = metrics.iter().zip(sums);
    pairs
        .filter(|(metric, _)| seen.insert(metric.name))
        .map(|(metric, sum)| {
            let name = named("rabbitmq_", metric.name);
            Family::single(name, metric.kind, metric.help, Number::Whole(*sum))
        })
        .collect()
}

/// A series for each of few subjects.
pub(super) fn labelled<T>(
    prefix: &str,
    metrics: &[Metric<T>],
    subjects: &[(String, T)],
) -> Vec<Family> {
    metrics
        .iter()
        .map(|metric| {
            let rows: Vec<_> = subjects
                .iter()
                .map(|(labels, subject)| (labels.clone(), Number::Whole((metric.read)(subject))))
                .collect();
            let name = named(prefix, metric.name);
            Family::of(name, metric.kind, metric.help, rows.into_iter())
        })
        .collect()
}
