//! `:functions`: the functions of the circle, before those of the session.

use client_ws::FunctionInfo;
use frontend::{
    functions,
    text::{Style, StyledLine},
    visible::visible,
};

use crate::truncate::group_digits;

/// The maximum number of listed functions.
const MAX_LISTED: usize = 500;

/// The text for a caller who may call no function.
pub const NO_FUNCTIONS: &str = "the circle has no function for you; :who shows your role";

/// Documents the function of the circle with the name `text`, or lists all functions whose names contain the text. `own`
/// are the lines about the functions of scripts; `None` if the caller may not play.
pub(crate) fn list_functions(
    known: &[FunctionInfo],
    own: Option<Vec<StyledLine>>,
    text: &str,
    width: usize,
) -> Vec<StyledLine> {
    if let Some(function) = known.iter().find(|function| function.name == text) {
        return functions::describe(function, width);
    }
    let fitting: Vec<FunctionInfo> =
        known.iter().filter(|function| function.name.contains(text)).take(MAX_LISTED + 1).cloned().collect();
    let own = own.filter(|own| !own.is_empty());
    if fitting.is_empty() {
        return own.unwrap_or_else(|| vec![StyledLine::of(Style::Dim, &none_text(known, text))]);
    }
    let mut lines = vec![StyledLine::of(Style::Strong, "Functions of the circle, to :call")];
    lines.extend(functions::list(&fitting[..fitting.len().min(MAX_LISTED)], width));
    if fitting.len() > MAX_LISTED {
        let hidden = known.iter().filter(|function| function.name.contains(text)).count() - MAX_LISTED;
        lines.push(StyledLine::of(Style::Dim, &format!("… and {} more", group_digits(hidden))));
    }
    if let Some(own) = own {
        lines.push(StyledLine::of(Style::Strong, "Functions of scripts"));
        lines.extend(own);
    }
    lines
}

fn none_text(known: &[FunctionInfo], text: &str) -> String {
    if known.is_empty() && text.is_empty() {
        NO_FUNCTIONS.to_owned()
    } else {
        format!("no function matches {}; :functions lists all", visible(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::shop;

    fn shown(own: Option<&str>, text: &str) -> String {
        let own = own.map(|own| vec![StyledLine::of(Style::Plain, own)]);
        let lines = list_functions(&shop(), own, text, 80);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn functions_of_the_circle_come_first() {
        let expected = "\
Functions of the circle, to :call
order.place(item: string, count?: int 1..100 = 1) -> int
    Orders some of an item.
order.list() -> any
    Lists orders.
price(item: string) -> float
    The price of an item.
Functions of scripts
area(r)";
        assert_eq!(shown(Some("area(r)"), ""), expected);
        assert_eq!(shown(None, "list"), "Functions of the circle, to :call\norder.list() -> any\n    Lists orders.");
        assert!(shown(Some("area(r)"), "order.place").starts_with("order.place(item: string"));
        assert!(shown(None, "order.place").contains("Parameters\n"));
        assert_eq!(shown(Some("area(r)"), "area"), "area(r)");
        assert_eq!(shown(None, "area"), "no function matches area; :functions lists all");
        // Scripts have no such function.
        let no_own = |text| {
            let lines = list_functions(&shop(), Some(Vec::new()), text, 80);
            lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(no_own("list"), "Functions of the circle, to :call\norder.list() -> any\n    Lists orders.");
        assert_eq!(no_own("area"), "no function matches area; :functions lists all");
        let none = list_functions(&[], None, "", 80);
        assert_eq!(none[0].to_string(), "the circle has no function for you; :who shows your role");
    }

    #[test]
    fn list_is_bounded() {
        let many = vec![shop().remove(2); 2000];
        let lines = list_functions(&many, None, "", 80);
        assert_eq!((lines.len(), lines[1001].to_string()), (1002, "… and 1,500 more".to_owned()));
    }
}
