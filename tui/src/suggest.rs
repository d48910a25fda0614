//! "Did you mean".

/// The known name that a mistyped one is nearest to, if it is near at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.into_iter().map(|known| (strsim::osa_distance(known, name), known)).min()?;
    (nearest.0 <= 2).then_some(nearest.1)
}
