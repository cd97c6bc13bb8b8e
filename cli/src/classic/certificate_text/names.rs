//! Distinguished names in the three forms the stock tools print beside the one-line one.

use gsi::{Name, name::NamePart};

/// How a form differs from the others.
struct Form {
    reversed: bool,
    between: &'static str,
    joined: &'static str,
    equals: &'static str,
    escapes: Escapes,
    /// Values of unknown types as hexadecimal DER.
    dump_unknown: bool,
}

/// What happens to the characters that are special in RFC 2253.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// Quotes around the value.
    Quotes,
    /// A backslash before each.
    Backslashes,
    /// Nothing, nor to any others.
    None,
}

/// `O = Grid, CN = "Doe, J"`: OpenSSL's own.
pub(super) fn spaced(name: &Name) -> String {
    let form = Form {
        reversed: false,
        between: ", ",
        joined: " + ",
        equals: " = ",
        escapes: Escapes::Quotes,
        dump_unknown: false,
    };
    write(name, &form)
}

/// `CN=Doe\, J,O=Grid`: RFC 2253, last part first.
pub(in super::super) fn rfc2253(name: &Name) -> String {
    let form = Form {
        reversed: true,
        between: ",",
        joined: "+",
        equals: "=",
        escapes: Escapes::Backslashes,
        dump_unknown: true,
    };
    write(name, &form)
}

/// `/O=Grid/CN=host/x`: the one-line form without escapes.
pub(in super::super) fn plain(name: &Name) -> String {
    let form = Form {
        reversed: false,
        between: "/",
        joined: " + ",
        equals: "=",
        escapes: Escapes::None,
        dump_unknown: false,
    };
    format!("/{}", write(name, &form))
}

/// `O=Grid, CN=x`: the one-line form with commas, where a slash before at most two capitals is taken for the start
/// of a part.
pub(super) fn compact(name: &Name) -> String {
    let text = name.subject().as_str();
    let text = text.strip_prefix('/').unwrap_or(text);
    let mut out = String::with_capacity(text.len());
    for (index, letter) in text.char_indices() {
        match letter {
            '/' if starts_part(text.get(index + 1..).unwrap_or_default()) => out.push_str(", "),
            _ => out.push(letter),
        }
    }
    out
}

fn starts_part(text: &str) -> bool {
    matches!(text.as_bytes(), [b'A'..=b'Z', b'=', ..] | [b'A'..=b'Z', b'A'..=b'Z', b'=', ..])
}

fn write(name: &Name, form: &Form) -> String {
    let mut parts = name.parts();
    if form.reversed {
        // A part is joined to the one before it, which is the next one now.
        let joined: Vec<bool> = parts.iter().skip(1).map(|part| part.joined).chain([false]).collect();
        parts.iter_mut().zip(joined).for_each(|(part, joined)| part.joined = joined);
        parts.reverse();
    }
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push_str(if part.joined { form.joined } else { form.between });
        }
        out.push_str(&part.kind);
        out.push_str(form.equals);
        out.push_str(&value(part, form));
    }
    out
}

fn value(part: &NamePart, form: &Form) -> String {
    match &part.text {
        Some(text) if part.known || !form.dump_unknown => escape(text, form.escapes),
        _ => {
            let digits: String = part.der.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("#{digits}")
        }
    }
}

/// Backslash and hexadecimal digits for every byte that is not printable ASCII; what is special in RFC 2253 quoted or
/// escaped.
fn escape(text: &str, escapes: Escapes) -> String {
    if escapes == Escapes::None {
        return super::printable(text.as_bytes());
    }
    let quotes = escapes == Escapes::Quotes;
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    for (index, letter) in text.char_indices() {
        let special = match letter {
            ',' | '+' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index + 1 == text.len(),
            '#' => index == 0,
            _ => false,
        };
        quoted |= special;
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if special && !quotes => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    out.push_str(&format!("\\{byte:02X}"));
                }
            }
        }
    }
    if quotes && quoted { format!("\"{out}\"") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse_one_line(text).unwrap()
    }

    #[test]
    fn each_form_has_its_own_escapes() {
        // Recorded from OpenSSL 3.0.
        let name = name("/C=DE+O=Grid, Inc/OU= #a /CN=J\\xC3\\xB6r\"g\"\\\\x;");
        assert_eq!(spaced(&name), r##"C = DE + O = "Grid, Inc", OU = " #a ", CN = "J\C3\B6r\"g\"\\x;""##);
        assert_eq!(rfc2253(&name), r##"CN=J\C3\B6r\"g\"\\x\;,OU=\ #a\ ,O=Grid\, Inc+C=DE"##);
    }

    #[test]
    fn the_compact_form_knows_short_types_only() {
        let name = name("/O=x, y/OU=a/emailAddress=a@b.c/DC=org/CN=host\\/foo");
        assert_eq!(compact(&name), "O=x, y, OU=a/emailAddress=a@b.c, DC=org, CN=host\\/foo");
        assert_eq!(spaced(&name), "O = \"x, y\", OU = a, emailAddress = a@b.c, DC = org, CN = host/foo");
    }
}
