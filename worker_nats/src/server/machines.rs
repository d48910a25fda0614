//! The machines that publish their state to the servers of a circle.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{messages::MachineState, subjects::SubjectName};

/// Maximum number of machines.
const MAX_MACHINES: usize = 1024;

/// Maximum number of earlier processes of one name that are remembered.
const MAX_EARLIER: usize = 4;

/// Number of intervals without a state after which a machine is forgotten.
const FORGET_AFTER: u32 = 5;

/// A machine that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineInfo {
    /// The name.
    pub name: SubjectName,
    /// The version of the program.
    pub version: String,
    /// The build. Only machines of the server's build get its workers.
    pub build: SubjectName,
    /// The number of workers that the machine accepts.
    pub places: u32,
    /// The number of workers that run there, of all circles and servers.
    pub used: u32,
    /// Whether the machine drains.
    pub is_draining: bool,
    /// Whether the machine accepted more workers when it published its state.
    pub has_room: bool,
    /// Whether several machines have this name. They get each other's messages, so none of them works.
    pub is_duplicate: bool,
}

/// A machine with what tells it from others of its name.
#[derive(Debug)]
struct Entry {
    seen: Instant,
    info: MachineInfo,
    /// The random number of the process that has published the last state.
    instance: u64,
    /// Those of the processes before, the last one at the end. One that comes back runs beside the others.
    earlier: Vec<u64>,
    /// When an earlier process came back.
    duplicate_seen: Option<Instant>,
}

/// The machines that have published their state recently.
#[derive(Debug)]
pub(super) struct Machines {
    machines: HashMap<SubjectName, Entry>,
    forget_after: Duration,
}

impl Machines {
    pub(super) fn new(interval: Duration) -> Self {
        Self { machines: HashMap::new(), forget_after: interval.saturating_mul(FORGET_AFTER) }
    }

    /// Handles a state. Returns whether it shows for the first time that several machines have this name.
    pub(super) fn receive(&mut self, state: MachineState, now: Instant) -> bool {
        let MachineState { machine: name, version, build, places, used, is_draining, has_room, is_ending, instance } =
            state;
        let can_add = self.machines.len() < MAX_MACHINES;
        let known = self.machines.get_mut(&name);
        if is_ending {
            if known.is_some_and(|entry| entry.instance == instance) {
                self.machines.remove(&name);
            }
            return false;
        }
        let version = crate::messages::short_text(&version);
        let info = MachineInfo {
            name: name.clone(),
            version,
            build,
            places,
            used,
            is_draining,
            has_room,
            is_duplicate: false,
        };
        let Some(entry) = known else {
            if can_add {
                let entry = Entry { seen: now, info, instance, earlier: Vec::new(), duplicate_seen: None };
                self.machines.insert(name, entry);
            }
            return false;
        };
        (entry.seen, entry.info) = (now, info);
        let last = std::mem::replace(&mut entry.instance, instance);
        if last == instance {
            return false;
        }
        let is_back = entry.earlier.contains(&instance);
        entry.earlier.retain(|earlier| *earlier != instance && *earlier != last);
        entry.earlier.push(last);
        if entry.earlier.len() > MAX_EARLIER {
            entry.earlier.remove(0);
        }
        is_back && !is_within(entry.duplicate_seen.replace(now), now, self.forget_after)
    }

    /// The machines, by name.
    pub(super) fn list(&self, now: Instant) -> Vec<MachineInfo> {
        let recent = self.machines.values().filter(|entry| is_within(Some(entry.seen), now, self.forget_after));
        let mut list: Vec<_> = recent
            .map(|entry| {
                let is_duplicate = is_within(entry.duplicate_seen, now, self.forget_after);
                MachineInfo { is_duplicate, ..entry.info.clone() }
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

    /// Forgets the machines that have published nothing for long.
    pub(super) fn forget(&mut self, now: Instant) {
        let forget_after = self.forget_after;
        self.machines.retain(|_, entry| is_within(Some(entry.seen), now, forget_after));
    }
}

fn is_within(time: Option<Instant>, now: Instant, duration: Duration) -> bool {
    time.is_some_and(|time| now.saturating_duration_since(time) < duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(machine: &str) -> MachineState {
        let name = |name| SubjectName::new(name).expect("valid");
        MachineState {
            machine: name(machine),
            version: "0.1.0\n".into(),
            build: name("b1"),
            places: 4,
            used: 1,
            is_draining: false,
            has_room: true,
            is_ending: false,
            instance: 1,
        }
    }

    #[test]
    fn machines_with_one_name_are_duplicates_and_a_restarted_one_is_not() {
        let (mut machines, start) = (Machines::new(Duration::from_secs(1)), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let mut receive = |instance, second| {
            let is_first = machines.receive(MachineState { instance, ..state("m1") }, at(second));
            (is_first, machines.list(at(second))[0].is_duplicate)
        };
        assert_eq!(receive(1, 0), (false, false));
        // A restart.
        assert_eq!(receive(2, 1), (false, false));
        assert_eq!(receive(3, 2), (false, false));
        assert_eq!(receive(2, 3), (true, true));
        assert_eq!(receive(3, 4), (false, true));
        for second in 5..9 {
            assert_eq!(receive(3, second), (false, true), "{second}");
        }
        assert_eq!(receive(3, 9), (false, false));
        // The end of one is not the end of the other.
        machines.receive(MachineState { is_ending: true, instance: 2, ..state("m1") }, at(9));
        assert_eq!(machines.list(at(9)).len(), 1);
        for instance in 10..100 {
            machines.receive(MachineState { instance, ..state("m1") }, at(9));
        }
        assert_eq!(machines.machines.values().next().map(|entry| entry.earlier.len()), Some(MAX_EARLIER));
    }

    #[test]
    fn machine_without_a_state_is_forgotten() {
        let (mut machines, now) = (Machines::new(Duration::from_secs(1)), Instant::now());
        machines.receive(state("m2"), now);
        machines.receive(state("m1"), now + Duration::from_secs(1));
        let names = |machines: &Machines, after| -> Vec<_> {
            let list = machines.list(now + Duration::from_secs(after));
            list.iter().map(|info| info.name.to_string()).collect()
        };
        assert_eq!(names(&machines, 1), ["m1", "m2"]);
        assert_eq!(machines.list(now)[0].version, "0.1.0");
        assert_eq!(names(&machines, 5), ["m1"]);
        machines.forget(now + Duration::from_secs(5));
        assert_eq!(names(&machines, 1), ["m1"]);
        machines.receive(MachineState { is_ending: true, ..state("m1") }, now);
        assert!(names(&machines, 1).is_empty());
        for number in 0..2 * MAX_MACHINES {
            machines.receive(state(&format!("m{number}")), now);
        }
        assert_eq!(machines.list(now).len(), MAX_MACHINES);
    }
}
