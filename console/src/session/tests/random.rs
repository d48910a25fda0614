//! Property tests with random inputs and faults: every input ends once, inputs start in the order in which they were
//! typed, no input is played in an environment that it was not typed for, and the init script is played first.

mod world;

use proptest::prelude::*;
use protocol::methods::Access;

use self::world::World;

/// The user's init script.
const INIT: &str = "fn f(x) { x }";

/// A step of the user, the circle or the network.
#[derive(Debug, Clone)]
enum RandomStep {
    /// Submit a new script.
    Play,
    Command(&'static str),
    Cancel,
    Connect,
    Retry,
    Disconnect,
    UseBob,
    Unlock(&'static str),
    StaysLocked(&'static str),
    /// The circle answers the oldest request.
    Answer,
    Fail,
    /// The circle refuses a play or a call, because the rights or the functions have changed.
    Refuse,
    /// The caller may play or not, and call this many functions.
    Rights(bool, u64),
    /// A play loses the environment.
    Cost,
    /// The connection is lost.
    Lose,
    /// The environment is lost between plays.
    Forget,
    Print,
    Wait(u64),
    /// The renderer reads the events.
    Read,
}

fn step() -> impl Strategy<Value = RandomStep> {
    let commands = [
        ":vars",
        ":doc push",
        ":who",
        ":last",
        ":time",
        ":source f",
        ":hlep",
        ":key alice",
        ":key bob",
        ":each a 1",
        ":load /",
        ":replay",
        ":out 1",
        ":copy",
        ":cd",
        ":sh ls",
        ":functions",
        ":call price item=tea",
        ":call price item=@/nonexistent",
    ];
    prop_oneof![
        6 => Just(RandomStep::Play),
        4 => proptest::sample::select(commands.to_vec()).prop_map(RandomStep::Command),
        2 => Just(RandomStep::Cancel),
        1 => Just(RandomStep::Connect),
        1 => Just(RandomStep::Retry),
        1 => Just(RandomStep::Disconnect),
        1 => Just(RandomStep::UseBob),
        2 => proptest::sample::select(vec!["alice", "bob"]).prop_map(RandomStep::Unlock),
        1 => proptest::sample::select(vec!["alice", "bob"]).prop_map(RandomStep::StaysLocked),
        10 => Just(RandomStep::Answer),
        2 => Just(RandomStep::Fail),
        2 => Just(RandomStep::Refuse),
        2 => (proptest::bool::ANY, 0..3u64).prop_map(|(play, count)| RandomStep::Rights(play, count)),
        1 => Just(RandomStep::Cost),
        2 => Just(RandomStep::Lose),
        1 => Just(RandomStep::Forget),
        2 => Just(RandomStep::Print),
        3 => (0..3000u64).prop_map(RandomStep::Wait),
        6 => Just(RandomStep::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn input_ends_once_in_every_sequence(
        steps in proptest::collection::vec(step(), 1..60),
        access in proptest::sample::select(vec![Access::Open, Access::Members]),
        has_init in proptest::bool::ANY,
        has_rights in proptest::bool::ANY,
    ) {
        let init = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(init.path(), INIT).expect("written");
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("there is room for a runtime");
        runtime.block_on(async {
            // A caller whose rights change may play before the session knows it, and then without the init script.
            let init = (has_init && !has_rights).then(|| init.path().to_owned());
            let mut world = World::new(access, init, has_rights);
            for step in steps {
                world.step(step).await;
            }
            world.end().await;
        });
    }
}
