//! `index` and `key` as names of columns: sqlparser takes them for MySQL's `INDEX name (columns)`, which a lake has not,
//! and pandas names a column so unless it is told otherwise.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Quotes them where a CREATE TABLE lists its columns.
pub(super) fn quote_index_names(tokens: &mut [TokenWithSpan]) {
    let words: Vec<usize> = (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let keyword = |at: Option<&usize>| match at.map(|at| &tokens[*at].token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let is_create = keyword(words.first()) == Keyword::CREATE;
    let is_table = (1..6).any(|at| keyword(words.get(at)) == Keyword::TABLE);
    if !is_create || !is_table {
        return;
    }
    for three in words.windows(3) {
        let begins = matches!(tokens[three[0]].token, Token::LParen | Token::Comma);
        let typed = matches!(tokens[three[2]].token, Token::Word(_));
        if let Token::Word(word) = &mut tokens[three[1]].token
            && begins
            && typed
            && word.quote_style.is_none()
            && matches!(word.keyword, Keyword::INDEX | Keyword::KEY)
        {
            word.value.make_ascii_lowercase();
            word.quote_style = Some('"');
            word.keyword = Keyword::NoKeyword;
        }
    }
}
