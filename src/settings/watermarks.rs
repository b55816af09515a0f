//! `vm_memory_high_watermark.*`, `disk_free_limit.*`: when resource alarms go up. Names, defaults and precedence are
//! RabbitMQ's: an absolute bound goes before a relative one.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// A part of a whole, exact to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(u64);

const WHOLE: f64 = 1_000_000.0;

impl Ratio {
    const fn millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0 as f64 / WHOLE
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(from)?;
        Ok(Self((part * WHOLE).round() as u64))
    }
}

/// `vm_memory_high_watermark.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryWatermark {
    /// Of the memory there is.
    pub relative: Ratio,
    /// In bytes; goes before `relative`.
    pub absolute: Option<u64>,
}

impl Default for MemoryWatermark {
    fn default() -> Self {
        Self {
            relative: Ratio::millionths(400_000),
            absolute: None,
        }
    }
}

/// `disk_free_limit.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskFreeLimit {
    /// In bytes; goes before `relative`. [`Settings::load`](super::Settings::load) takes it away where only the other is
    /// written.
    pub absolute: Option<u64>,
    /// Of the memory there is.
    pub relative: Option<Ratio>,
}

impl Default for DiskFreeLimit {
    fn default() -> Self {
        Self {
            absolute: Some(50_000_000),
            relative: None,
        }
    }
}

/// Bytes of a text such as `2GB` or `512MiB`, with RabbitMQ's units: `k`, `M`, `G` and `T` alone are powers of 1024.
pub fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Override;
    use crate::settings::Settings;
    use crate::settings::Sources;

    #[test]
    fn sizes_have_rabbitmqs_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("50MB", Some(50_000_000)),
            ("2GiB", Some(2 << 30)),
            ("1024M", Some(1 << 30)),
            ("3k", Some(3072)),
            (" 7kB ", Some(7000)),
            ("MB", None),
            ("-1", None),
            ("1.5GB", None),
            ("1 GB", None),
            ("9XB", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(bytes_of(text), bytes, "{text}");
        }
    }

    #[track_caller]
    fn check_disk(written: &[(&str, &str)], absolute: Option<u64>, relative: Option<f64>) {
        let overrides = written.iter().map(|(key, value)| Override {
            option: format!("--{key}"),
            key: format!("disk_free_limit.{key}"),
            values: vec![(*value).to_owned()],
        });
        let sources = Sources {
            overrides: overrides.collect(),
            ..Sources::default()
        };
        let limit = Settings::load(&sources).expect("loaded").disk_free_limit;
        let told = (limit.absolute, limit.relative.map(Ratio::get));
        assert_eq!(told, (absolute, relative));
    }

    #[test]
    fn the_default_bound_of_the_disk_gives_way_to_one_that_is_written() {
        check_disk(&[], Some(50_000_000), None);
        check_disk(&[("relative", "1.5")], None, Some(1.5));
        check_disk(&[("absolute", "1GB")], Some(1_000_000_000), None);
        let both = [("relative", "1"), ("absolute", "2")];
        check_disk(&both, Some(2), Some(1.0));
    }
}
