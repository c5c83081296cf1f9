//! Flags that cannot be read are refused as everything else is: in one sentence that says what to do.

/// The sentence for a refusal of clap's: its complaint, its tip if it has one, and where the flags are explained.
///
/// `rendered` is clap's text: the complaint, a blank line, and paragraphs of tips and usage.
pub(crate) fn sentence(rendered: &str) -> String {
    let mut paragraphs = rendered.trim().split("\n\n");
    let complaint = one_line(paragraphs.next().unwrap_or_default());
    let complaint = complaint.strip_prefix("error: ").unwrap_or(&complaint);
    let mut tip = String::new();
    let mut command = "sampan".to_owned();
    for paragraph in paragraphs {
        let line = one_line(paragraph);
        if let Some(text) = line.strip_prefix("tip: ") {
            tip = format!(" ({text})");
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            let words = usage.split(' ');
            let words: Vec<&str> = words
                .take_while(|word| word.starts_with(char::is_alphabetic))
                .filter(|word| word.chars().all(|letter| !letter.is_uppercase()))
                .collect();
            command = words.join(" ");
        }
    }
    format!("{complaint}{tip}: see `{command} --help`")
}

fn one_line(paragraph: &str) -> String {
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::sentence;
    use crate::Cli;

    fn said(arguments: &[&str]) -> String {
        let all = std::iter::once("sampan").chain(arguments.iter().copied());
        let error = Cli::try_parse_from(all).err().expect("it is refused");
        sentence(&error.render().to_string())
    }

    #[test]
    fn one_sentence_says_what_is_wrong_and_where_to_look() {
        let cases: &[(&[&str], &str)] = &[
            (
                &["up", "--nope"],
                "unexpected argument '--nope' found: see `sampan up --help`",
            ),
            (
                &["up", "--prot", "1"],
                "unexpected argument '--prot' found (a similar argument exists: '--port'): see `sampan up --help`",
            ),
            (
                &["up", "--port", "70000"],
                "invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535: see `sampan --help`",
            ),
            (
                &["sial"],
                "unrecognized subcommand 'sial': see `sampan --help`",
            ),
            (
                &["image", "import"],
                "the following required arguments were not provided: <FILE>: see `sampan image import --help`",
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(&said(arguments), expected, "{arguments:?}");
        }
    }
}
