//! Which language to speak, and the fixed words of the tables.

use clap::ValueEnum;
use status::Text;

/// A language of the status layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

impl Lang {
    /// The language of the locale, given a way to read the environment.
    pub fn of_locale(read: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(read)
            .find(|value| !value.is_empty())
            .unwrap_or_default();
        if locale.to_lowercase().starts_with("zh") {
            Self::Zh
        } else {
            Self::En
        }
    }

    /// This language's side of a text.
    pub fn of(self, text: &Text) -> &str {
        self.pick(&text.en, &text.zh)
    }

    /// The engine's name of it.
    pub fn of_engine(self) -> status::Lang {
        match self {
            Self::En => status::Lang::En,
            Self::Zh => status::Lang::Zh,
        }
    }

    /// One of two.
    pub fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_variable_that_is_set_decides() {
        let of = |all: &str, messages: &str, lang: &str| {
            let (all, messages, lang) = (all.to_owned(), messages.to_owned(), lang.to_owned());
            Lang::of_locale(|name| match name {
                "LC_ALL" => Some(all.clone()),
                "LC_MESSAGES" => Some(messages.clone()),
                _ => Some(lang.clone()),
            })
        };
        assert_eq!(of("", "", "zh_CN.UTF-8"), Lang::Zh);
        assert_eq!(of("C", "", "zh_CN.UTF-8"), Lang::En);
        assert_eq!(of("", "zh_CN", "en_US"), Lang::Zh);
        assert_eq!(Lang::of_locale(|_| None), Lang::En);
    }
}
