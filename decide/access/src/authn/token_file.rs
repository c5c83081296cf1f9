//! Static tokens: a CSV file of tokens and the users they stand for.
//!
//! Source: apiserver `pkg/authentication/token/tokenfile`.

mod csv;

use kinds::strategy::User;
use thiserror::Error;

use crate::user;

/// Fewest columns of a line: token, user name, user uid.
const COLUMNS_MIN: usize = 3;

/// What is wrong with a token file. Tokens are never in the sentence.
#[derive(Debug, Error)]
pub enum TokenFileError {
    /// No CSV.
    #[error("line {line} is no CSV: {why}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Go's words.
        why: &'static str,
    },
    /// A line lacks columns.
    #[error(
        "must have at least 3 columns (token, user name, user uid), found {found} in line {line}"
    )]
    Columns {
        /// Counted from 1.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// Two lines have one token, or a line has none. Upstream warns and goes on with the last.
    #[error("line {line} has no token, or the token of a line before it")]
    Token {
        /// Counted from 1.
        line: usize,
    },
}

/// Reads `token,user,uid,"group1,group2"` lines; the groups may be left out.
///
/// DIFFERS: a token that stands twice, or an empty one, is an error rather than a warning: one of the two users would
/// silently be shut out.
///
/// # Errors
/// [`TokenFileError`] for the first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<(String, User)>, TokenFileError> {
    let mut tokens: Vec<(String, User)> = Vec::new();
    for csv::Record { line, cells } in csv::records(text)? {
        let found = cells.len();
        let mut cells = cells.iter().map(String::as_str);
        let (Some(token), Some(name), Some(uid)) = (cells.next(), cells.next(), cells.next())
        else {
            debug_assert!(found < COLUMNS_MIN);
            return Err(TokenFileError::Columns { line, found });
        };
        if token.is_empty() || tokens.iter().any(|(known, _)| known == token) {
            return Err(TokenFileError::Token { line });
        }
        let groups: Vec<&str> = cells
            .next()
            .map_or(Vec::new(), |groups| groups.split(',').collect());
        let mut user = user::user(name, &groups);
        uid.clone_into(&mut user.uid);
        tokens.push((token.to_owned(), user));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_in_one_quoted_cell_and_may_be_left_out() {
        let tokens = parse("t1,alice,1,\"dev,ops\"\nt2,bob,2\n").unwrap();
        let (token, alice) = &tokens[0];
        assert_eq!(
            (token.as_str(), alice.name.as_str(), alice.uid.as_str()),
            ("t1", "alice", "1")
        );
        assert_eq!(alice.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!(tokens[1].1.groups, ["system:authenticated"]);
    }

    #[test]
    fn groups_that_are_not_quoted_are_cells_of_their_own_of_which_the_first_counts() {
        let groups = |text| parse(text).unwrap()[0].1.groups.clone();
        assert_eq!(
            groups("t1,alice,1,dev,ops\n"),
            ["dev", "system:authenticated"]
        );
        assert_eq!(groups("t1,alice,1,\n"), ["", "system:authenticated"]);
        let odd = parse("t1,alice,1, \"dev,ops\"\n").unwrap_err();
        assert_eq!(
            odd.to_string(),
            "line 1 is no CSV: bare \" in non-quoted-field"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_the_token() {
        let said = |text| parse(text).unwrap_err().to_string();
        let columns =
            "must have at least 3 columns (token, user name, user uid), found 2 in line 2";
        assert_eq!(said("t1,alice,1\nsecret,bob\n"), columns);
        let token = "line 2 has no token, or the token of a line before it";
        assert_eq!(said("secret,alice,1\nsecret,bob,2\n"), token);
        assert_eq!(said("t1,alice,1\n,bob,2\n"), token);
    }
}
