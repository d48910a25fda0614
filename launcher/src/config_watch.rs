//! Watches circles.json and the files that its circles name, and has each change taken over.
//!
//! Directories are watched and not files, because editors put a new file in the place of the old one, and links may lead
//! elsewhere from one moment to the next; those above them, too, because a directory can be replaced as well. After each change
//! everything is watched anew, and only then read: so nothing that happens in between is missed.

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

/// Changes have ceased when nothing has changed for so long: who saves several files wants one reload.
const DEBOUNCE_DELAY: Duration = Duration::from_millis(200);

/// One that does not cease is taken over all the same.
const MAX_DEBOUNCE_DELAY: Duration = Duration::from_secs(2);

/// How often it is looked what there is while something cannot be watched.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Links that are followed from one name.
const MAX_LINKS: usize = 16;

/// What is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct WatchedPaths {
    /// Files and links whose change counts.
    files: BTreeSet<PathBuf>,
    /// Directories in which every change counts.
    folders: BTreeSet<PathBuf>,
    /// Those above both, which count themselves.
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

    /// What is watched, each after what is above it.
    fn directories(&self) -> BTreeSet<&Path> {
        self.ancestors.iter().chain(&self.folders).map(PathBuf::as_path).collect()
    }

    /// Whether changes in that directory itself count.
    fn is_required(&self, directory: &Path) -> bool {
        self.folders.contains(directory) || self.files.iter().any(|file| file.parent() == Some(directory))
    }

    fn is_relevant(&self, event: &notify::Event) -> bool {
        // What is only written to is a module, or nothing that an import could reach.
        let is_written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        let is_in_a_folder = |path: &Path| {
            let is_below = path.parent().is_some_and(|parent| self.folders.contains(parent));
            is_below && (!is_written || path.extension().is_some_and(|extension| extension == "rhai"))
        };
        let named = [&self.files, &self.folders, &self.ancestors];
        let is_ours = |path: &PathBuf| named.iter().any(|names| names.contains(path)) || is_in_a_folder(path);
        // Without a path it says that some were missed.
        !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(is_ours))
    }
}

/// A name, and every link on the way to what it leads to.
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

/// Has everything that changes taken over, for as long as somebody does that. `take_over` says what there is to watch from
/// then on, if it could be read; `tell` is told that something cannot be watched.
pub(crate) async fn watch(
    config: PathBuf,
    mut apply: impl AsyncFnMut() -> Option<CircleDefinitions>,
    mut report: impl AsyncFnMut(String),
) {
    let mut definitions = None;
    let mut last_error = None;
    loop {
        let (path, before) = (config.clone(), definitions);
        // One that is not taken yet stands for all that follow.
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
                report(format!("not every change is noticed at once: {watch_error}")).await;
            }
            last_error = watch_error;
        }
        definitions = apply().await.or(before);
        let (path, read) = (config.clone(), definitions);
        let now = tokio::task::spawn_blocking(move || (WatchedPaths::new(&path, read.as_ref()), read));
        let Ok((now, read)) = now.await else { return };
        definitions = read;
        // Something that is not watched yet may have changed since it was read.
        if now == names {
            let retry_after = if is_complete { Duration::MAX } else { RETRY_INTERVAL };
            let _changed_or_timed_out = timeout(retry_after, changes.recv()).await;
        }
        debounce(&mut changes).await;
        drop((watching, changed));
    }
}

/// Begins to watch, and says what cannot be watched. Blocks.
fn start_watcher(
    names: &WatchedPaths,
    changed: mpsc::Sender<()>,
) -> notify::Result<(RecommendedWatcher, Option<String>)> {
    let watched = names.clone();
    let concerns = move |event: notify::Result<notify::Event>| {
        // What could not be told in full is worth a look, too.
        if event.map_or(true, |event| watched.is_relevant(&event)) {
            let _one_waits_already = changed.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(concerns)?;
    let (mut watch_error, mut unseen) = (None, BTreeSet::new());
    for directory in names.directories() {
        let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) else { continue };
        // Of one that is not there it is seen from above that it comes.
        let is_missing = matches!(error.kind, ErrorKind::PathNotFound);
        if is_missing && directory.parent().is_some_and(|above| !unseen.contains(above)) {
            continue;
        }
        unseen.insert(directory);
        // One above that is closed to the user is not the user's to replace.
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
        let watch_error = of(&home.path().join("file/later/circles.json")).expect("it is told");
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
        // A change that is not over yet is seen once more.
        while next().await != "3" {}
        fs::rename(&other, &config).expect("moved");
        while next().await != "2" {}
        fs::remove_file(&config).expect("removed");
        while !next().await.is_empty() {}
        fs::write(&other, "4").expect("written");
        timeout(DEBOUNCE_DELAY * 3, next()).await.expect_err("it is another file");
        watching.abort();
    }
}
