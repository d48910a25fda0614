//! Watches circles.json and the files that it names, and applies each change.
//!
//! The watcher watches directories, not files: editors replace a file with a new one, and links may change their
//! target. It watches the parent directories, too, because a directory can also be replaced. After each change it first
//! watches everything anew and then reads, so it misses nothing that happens in between.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use crate::definition::CircleDefinitions;

/// Quiet time before a change is applied: several files that are saved together cause one reload.
const DEBOUNCE_DELAY: Duration = Duration::from_millis(200);

/// Longest time that continuous changes delay a reload.
const MAX_DEBOUNCE_DELAY: Duration = Duration::from_secs(2);

/// Interval of reloads while something cannot be watched.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Links that are followed from one path.
const MAX_LINKS: usize = 16;

/// Paths to watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct WatchedPaths {
    /// Files and links whose changes are relevant.
    files: BTreeSet<PathBuf>,
    /// Directories in which every change is relevant.
    folders: BTreeSet<PathBuf>,
    /// Parent directories of both, whose replacement is relevant.
    ancestors: BTreeSet<PathBuf>,
}

impl WatchedPaths {
    fn new(config: &Path, definitions: Option<&CircleDefinitions>) -> Self {
        let mut files: BTreeSet<PathBuf> = link_chain(config).into_iter().collect();
        let folders = definitions.map(|definitions| definitions.folders.clone()).unwrap_or_default();
        for named in definitions.iter().flat_map(|definitions| &definitions.files) {
            files.extend(link_chain(named));
        }
        let above = files.iter().chain(&folders).flat_map(|path| path.ancestors().skip(1).map(Path::to_owned));
        Self { ancestors: above.collect(), files, folders }
    }

    /// Returns the directories to watch, parents first.
    fn directories(&self) -> BTreeSet<&Path> {
        self.ancestors.iter().chain(&self.folders).map(PathBuf::as_path).collect()
    }

    /// Returns whether changes directly in this directory are relevant.
    fn is_required(&self, directory: &Path) -> bool {
        self.folders.contains(directory) || self.files.iter().any(|file| file.parent() == Some(directory))
    }

    fn is_relevant(&self, event: &notify::Event) -> bool {
        // Of files that are only written to, `import` reads the modules alone.
        let is_written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        let is_in_folder = |path: &Path| {
            let is_below = path.parent().is_some_and(|parent| self.folders.contains(parent));
            is_below && (!is_written || path.extension().is_some_and(|extension| extension == "rhai"))
        };
        let named = [&self.files, &self.folders, &self.ancestors];
        let is_ours = |path: &PathBuf| named.iter().any(|names| names.contains(path)) || is_in_folder(path);
        // An event without a path says that events were lost.
        !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(is_ours))
    }
}

/// Returns a path and every link on the way to its target.
fn link_chain(name: &Path) -> Vec<PathBuf> {
    let (mut found, mut name) = (vec![name.to_owned()], name.to_owned());
    for _ in 0..MAX_LINKS {
        let mut above: Vec<&Path> = name.ancestors().collect();
        above.reverse();
        let Some((link, target)) = above.into_iter().find_map(|path| Some((path, std::fs::read_link(path).ok()?)))
        else {
            break;
        };
        found.push(link.to_owned());
        let rest = name.strip_prefix(link).expect("it is above");
        let target = link.parent().unwrap_or(Path::new("/")).join(target);
        name = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        found.push(name.clone());
    }
    found
}

/// Calls `apply` at the begin and after every change of one of the files, until the future is dropped. Links may change
/// their targets, and files may be replaced. `report` receives a warning when something cannot be watched.
pub async fn watch_files(files: BTreeSet<PathBuf>, mut apply: impl AsyncFnMut(), report: impl AsyncFnMut(String)) {
    // The system reports changes with absolute paths.
    let files: BTreeSet<PathBuf> = files.into_iter().map(|file| std::path::absolute(&file).unwrap_or(file)).collect();
    let Some(first) = files.first().cloned() else { return };
    let definitions =
        || CircleDefinitions { circles: Vec::new(), files: files.clone(), folders: BTreeSet::new(), is_watched: true };
    let apply = async || {
        apply().await;
        Some(definitions())
    };
    watch(first, apply, report).await;
}

/// Applies every change until the future is dropped. `apply` returns the definitions to watch from then on, if it could
/// read them; `report` receives a warning when something cannot be watched.
pub(crate) async fn watch(
    config: PathBuf,
    mut apply: impl AsyncFnMut() -> Option<CircleDefinitions>,
    mut report: impl AsyncFnMut(String),
) {
    let mut definitions = None;
    let mut last_error = None;
    loop {
        let (path, before) = (config.clone(), definitions);
        // One pending event stands for all that follow.
        let (changed, mut changes) = mpsc::channel(1);
        let changing = changed.clone();
        let started = tokio::task::spawn_blocking(move || {
            let names = WatchedPaths::new(&path, before.as_ref());
            (start_watcher(&names, changing), names, before)
        });
        let Ok((started, names, before)) = started.await else { return };
        let (watching, watch_error) = match started {
            Ok((watcher, watch_error)) => (Some(watcher), watch_error),
            Err(error) => (None, Some(error.to_string())),
        };
        let is_complete = watch_error.is_none();
        if watch_error != last_error {
            if let Some(watch_error) = &watch_error {
                let interval = RETRY_INTERVAL.as_secs();
                report(format!("cannot watch every file; checking every {interval} s instead: {watch_error}")).await;
            }
            last_error = watch_error;
        }
        definitions = apply().await.or(before);
        let (path, read) = (config.clone(), definitions);
        let now = tokio::task::spawn_blocking(move || (WatchedPaths::new(&path, read.as_ref()), read));
        let Ok((now, read)) = now.await else { return };
        definitions = read;
        // A path that is not watched yet may have changed after it was read.
        if now == names {
            let retry_after = if is_complete { Duration::MAX } else { RETRY_INTERVAL };
            let _changed_or_timed_out = timeout(retry_after, changes.recv()).await;
        }
        debounce(&mut changes).await;
        drop((watching, changed));
    }
}

/// Starts a watcher, and returns what cannot be watched. Blocks.
fn start_watcher(
    names: &WatchedPaths,
    changed: mpsc::Sender<()>,
) -> notify::Result<(RecommendedWatcher, Option<String>)> {
    let watched = names.clone();
    let concerns = move |event: notify::Result<notify::Event>| {
        // An error may stand for a change, too.
        if event.map_or(true, |event| watched.is_relevant(&event)) {
            let _one_waits_already = changed.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(concerns)?;
    let (mut watch_error, mut unseen) = (None, BTreeSet::new());
    for directory in names.directories() {
        let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) else { continue };
        // The parent directory shows when a missing directory appears.
        let is_missing = matches!(error.kind, ErrorKind::PathNotFound);
        if is_missing && directory.parent().is_some_and(|above| !unseen.contains(above)) {
            continue;
        }
        unseen.insert(directory);
        // A parent directory without access is one that the user cannot replace either.
        if names.is_required(directory) {
            watch_error.get_or_insert(format!("{}: {error}", directory.display()));
        }
    }
    Ok((watcher, watch_error))
}

/// Waits until nothing has changed for a moment.
async fn debounce(changes: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + MAX_DEBOUNCE_DELAY;
    while Instant::now() < end
        && let Ok(Some(())) = timeout_at(end.min(Instant::now() + DEBOUNCE_DELAY), changes.recv()).await
    {}
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn link_chain_has_every_link() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("one")).expect("made");
        symlink("one", at("current")).expect("linked");
        symlink("current/circles.json", at("circles.json")).expect("linked");
        let found: BTreeSet<PathBuf> = link_chain(&at("circles.json")).into_iter().collect();
        let expected = ["circles.json", "current/circles.json", "current", "one/circles.json"].map(at);
        assert_eq!(found, expected.into());
        symlink("loop", at("loop")).expect("linked");
        assert!(link_chain(&at("loop")).len() <= 1 + 2 * MAX_LINKS);
    }

    #[test]
    fn watcher_reports_unwatchable_path_and_waits_for_missing_one() {
        let home = tempfile::tempdir().expect("a directory");
        let of = |path: &Path| {
            let names = WatchedPaths::new(path, None);
            start_watcher(&names, mpsc::channel(1).0).expect("there are enough").1
        };
        assert_eq!(of(&home.path().join("circles.json")), None);
        assert_eq!(of(&home.path().join("later/still/circles.json")), None);
        fs::write(home.path().join("file"), "").expect("written");
        let watch_error = of(&home.path().join("file/later/circles.json")).expect("an error");
        assert!(watch_error.contains("file/later: "), "{watch_error}");
    }

    #[tokio::test]
    async fn watch_applies_each_change_of_config_only() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        fs::write(&config, "1").expect("written");
        let (read, mut taken) = mpsc::channel(16);
        let (text, other) = (config.clone(), home.path().join("other.json"));
        let watching = tokio::spawn(watch(
            config.clone(),
            async move || {
                read.send(fs::read_to_string(&text).unwrap_or_default()).await.expect("it is read");
                None
            },
            async |line| panic!("{line}"),
        ));
        let mut next = async || taken.recv().await.expect("it goes on");
        assert_eq!(next().await, "1");
        fs::write(&other, "2").expect("written");
        fs::write(&config, "3").expect("written");
        // A change that is still in progress is reported once more.
        while next().await != "3" {}
        fs::rename(&other, &config).expect("moved");
        while next().await != "2" {}
        fs::remove_file(&config).expect("removed");
        while !next().await.is_empty() {}
        fs::write(&other, "4").expect("written");
        timeout(DEBOUNCE_DELAY * 3, next()).await.expect_err("another file");
        watching.abort();
    }
}
