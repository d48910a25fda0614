//! The processes of a pool, as `/proc` shows them.

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use worker::Session;

/// Parses a process id.
fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).expect("not 0")
}

/// Returns the fields of `/proc/PID/stat` after the name: state, parent and so on.
fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(Into::into).collect())
}

/// Returns the process id of the fork server of a session.
pub(crate) fn fork_server(session: &Session) -> u32 {
    let worker = session.pid().expect("it has a worker");
    stat(worker).expect("it runs")[1].parse().expect("a number")
}

/// Returns the workers of a fork server that run.
pub(crate) fn workers(fork_server: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("Linux").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_worker = |stat: Vec<String>| stat[1] == fork_server.to_string() && stat[0] != "Z";
    numbers.filter(|process| stat(*process).is_some_and(is_worker)).collect()
}

/// Kills a process as `kill -9` does.
pub(crate) fn kill(process: u32) {
    kill_process(pid(process), Signal::KILL).expect("it runs");
}

/// Waits until a process has ended.
pub(crate) async fn wait_for_end(process: u32) {
    let Ok(process) = pidfd_open(pid(process), PidfdFlags::empty()) else { return };
    // The end of a child process is a signal, too.
    let wait = move || retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], None));
    let ended = tokio::task::spawn_blocking(wait);
    ended.await.expect("no panic").expect("it ends");
}

/// Waits until a process has computed for 50 ms more. Short scripts take less.
pub(crate) async fn wait_for_computation(process: u32) {
    // In ticks of 10 ms.
    let user_time = || stat(process).expect("it runs")[11].parse::<u64>().expect("a number");
    let begin = user_time();
    while user_time() < begin + 5 {
        tokio::task::yield_now().await;
    }
}
