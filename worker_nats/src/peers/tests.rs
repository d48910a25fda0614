use super::{ending::UNUSED_TIMEOUT, *};

struct Nothing;

impl End for Nothing {
    fn pump(&mut self, _: &mut LinkAccess<'_>, _: &mut Context<'_>) {}

    fn leave(&mut self) {}

    fn note_silence(&mut self, _: Instant) {}

    fn fail(&mut self, _: Failure) {}
}

#[test]
fn association_without_links_ends_and_costs_no_worker() {
    let start = Instant::now();
    let mut peers = Peers::new(Side::Server, Timeouts::default());
    let (used, unused) = (AssociationId::from_bytes([1; 16]), AssociationId::from_bytes([2; 16]));
    let name = SubjectName::new("m1").expect("valid");
    for id in [used, unused] {
        assert!(peers.add(id, &name, ["subject".into(), "reply".into()], start));
    }
    assert!(peers.open(used, LinkId::from_bytes([3; 16]), Nothing, start));
    assert!(peers.remove_unused(start).is_empty());
    assert!(peers.remove_unused(start + UNUSED_TIMEOUT / 2).is_empty());
    assert_eq!(peers.remove_unused(start + UNUSED_TIMEOUT).len(), 1);
    assert!(!peers.add(unused, &name, ["subject".into(), "reply".into()], start));
    let lost: Vec<_> = peers.give_up_all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(lost, [Some(name)]);
}
