//! Text into HTML: everything that comes from data or names is escaped here.

use std::fmt;

/// Shows a text so that a browser takes no part of it for markup, inside elements and quoted attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

/// Shorthand for [`Escaped`].
pub(crate) fn esc(text: &str) -> Escaped<'_> {
    Escaped(text)
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Control characters are not allowed in HTML.
                c if c.is_control() && c != '\n' && c != '\t' => f.write_str("\u{fffd}")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

/// An id for anchors, made of a text: only letters, digits and hyphens.
pub(crate) fn anchor(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// A whole number with thin groups of thousands: `336,776`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time span: `850 ms`, `3.2 s`, `2 min 5 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round();
        format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

/// A size: `5.3 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A number as people write it: at most four significant digits after the point, no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size >= 1000.0 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    let digits = if size >= 100.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.replace('-', "−") }
}

/// A share in percent: `23.7 %`.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".to_owned();
    }
    let value = share * 100.0;
    let text = if value.abs() < 0.05 && value != 0.0 { "< 0.1".to_owned() } else { format!("{value:.1}") };
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, esc, number, percent, seconds};

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(
            esc("<img src=x onerror='alert(1)'>&\"\0").to_string(),
            "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;\u{fffd}"
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(336_776), "336,776");
        assert_eq!(count(12), "12");
        assert_eq!(seconds(0.0123), "12 ms");
        assert_eq!(seconds(3.21), "3.2 s");
        assert_eq!(seconds(125.2), "2 min 5 s");
        assert_eq!(bytes(5_304_218), "5.3 MB");
        assert_eq!(number(0.673_21), "0.6732");
        assert_eq!(number(-1234.4), "−1,234");
        assert_eq!(number(2.0), "2");
        assert_eq!(percent(0.2371), "23.7 %");
        assert_eq!(percent(0.000_01), "< 0.1 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
