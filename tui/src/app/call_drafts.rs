//! Inputs of forms for calls, each kept until a call with them succeeds: an error or a slip loses no input.

use std::collections::VecDeque;

use frontend::key_bindings::{KeyPane, UserAction};

use super::App;
use crate::{
    circle_id::CircleId,
    layout::Pane,
    popup::{CallDraft, CallForm, Popup},
};

/// Largest number of drafts. The oldest one goes first.
const MAX_DRAFTS: usize = 16;

/// The drafts, oldest first; one for each function.
#[derive(Debug, Default)]
pub(super) struct CallDrafts(VecDeque<StoredDraft>);

#[derive(Debug)]
struct StoredDraft {
    draft: CallDraft,
    /// The command of the call with these inputs, if the user has called the function.
    command: Option<String>,
    /// Whether the session carries out the command.
    is_running: bool,
}

impl CallDrafts {
    /// Keeps inputs in place of earlier ones of the same function.
    pub(super) fn keep(&mut self, draft: CallDraft, command: Option<String>) {
        self.0.retain(|stored| !stored.is_of(draft.circle, &draft.function));
        if draft.texts.is_empty() {
            return;
        }
        self.0.push_back(StoredDraft { draft, command, is_running: false });
        if self.0.len() > MAX_DRAFTS {
            self.0.pop_front();
        }
    }

    /// Returns the kept inputs of a function.
    pub(super) fn get(&self, circle: CircleId, function: &str) -> Option<&CallDraft> {
        self.0.iter().find(|stored| stored.is_of(circle, function)).map(|stored| &stored.draft)
    }

    /// Handles the start of an input.
    pub(super) fn start(&mut self, circle: CircleId, input: &str) {
        for stored in self.0.iter_mut().filter(|stored| stored.draft.circle == circle) {
            stored.is_running = stored.command.as_deref() == Some(input);
        }
    }

    /// Returns the inputs of the running call.
    fn running(&self, circle: CircleId) -> Option<&CallDraft> {
        self.0.iter().find(|stored| stored.is_running && stored.draft.circle == circle).map(|stored| &stored.draft)
    }

    /// Drops the inputs of the running call, which has succeeded.
    pub(super) fn succeed(&mut self, circle: CircleId) {
        self.0.retain(|stored| !(stored.is_running && stored.draft.circle == circle));
    }

    /// Handles the end of the running input.
    pub(super) fn finish(&mut self, circle: CircleId) {
        for stored in self.0.iter_mut().filter(|stored| stored.draft.circle == circle) {
            stored.is_running = false;
        }
    }
}

impl StoredDraft {
    fn is_of(&self, circle: CircleId, function: &str) -> bool {
        self.draft.circle == circle && self.draft.function == function
    }
}

impl App {
    /// Keeps the inputs of a form that was closed, and says so.
    pub(super) fn keep_draft(&mut self, form: &CallForm) {
        let Some(draft) = form.draft() else { return };
        let hint = (!draft.texts.is_empty()).then(|| self.draft_hint(&draft.function));
        self.call_drafts.keep(draft, None);
        if let Some(hint) = hint {
            self.show_hint(hint);
        }
    }

    /// Opens the form of a refused call again, unless the user does something else.
    pub(super) fn on_call_refused(&mut self, id: CircleId, error: &str) {
        let Some(draft) = self.call_drafts.running(id).cloned() else { return };
        let session = self.repl.get(id);
        let is_free = self.circles.selected() == Some(id)
            && self.window.focus == Pane::Repl
            && self.window.popup.is_none()
            && self.window.search.is_none()
            && session.is_some_and(|session| session.editor.is_empty());
        match session.and_then(|session| session.state.function(&draft.function)) {
            Some(function) if is_free => {
                let mut form = CallForm::new(id, function.clone(), Some(&draft));
                form.refuse(error);
                self.window.popup = Some(Popup::Call(form));
            }
            _ => {
                let hint = self.draft_hint(&draft.function);
                self.show_hint(hint);
            }
        }
    }

    fn draft_hint(&self, function: &str) -> String {
        let key = self.key_of(KeyPane::Repl, UserAction::Functions);
        format!("{key} opens the form of {function} again, with these inputs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(circle: usize, function: &str, text: &str) -> CallDraft {
        let texts = if text.is_empty() { vec![] } else { vec![("a".to_owned(), text.to_owned())] };
        CallDraft { circle: CircleId(circle), function: function.to_owned(), texts }
    }

    #[test]
    fn draft_goes_when_its_call_succeeds() {
        let mut drafts = CallDrafts::default();
        let (here, there) = (CircleId(1), CircleId(2));
        drafts.keep(draft(1, "f", "x"), Some(":call f a=x".into()));
        drafts.keep(draft(2, "f", "y"), Some(":call f a=x".into()));
        // Another input, a failed call, and the call of another circle.
        drafts.start(here, "1 + 1");
        drafts.succeed(here);
        drafts.finish(here);
        drafts.start(here, ":call f a=x");
        assert_eq!(drafts.running(here), Some(&draft(1, "f", "x")));
        drafts.finish(here);
        drafts.succeed(here);
        assert_eq!(drafts.get(here, "f"), Some(&draft(1, "f", "x")));
        drafts.start(here, ":call f a=x");
        drafts.succeed(here);
        assert_eq!((drafts.get(here, "f"), drafts.get(there, "f")), (None, Some(&draft(2, "f", "y"))));
        // The user changes the inputs while the call runs.
        drafts.start(there, ":call f a=x");
        drafts.keep(draft(2, "f", "z"), None);
        drafts.succeed(there);
        assert_eq!(drafts.get(there, "f"), Some(&draft(2, "f", "z")));
        drafts.keep(draft(2, "f", ""), None);
        assert_eq!(drafts.get(there, "f"), None);
    }

    #[test]
    fn oldest_draft_goes_first() {
        let mut drafts = CallDrafts::default();
        for number in 0..100 {
            drafts.keep(draft(1, &format!("f{number}"), "x"), None);
        }
        assert_eq!(drafts.0.len(), MAX_DRAFTS);
        assert!(drafts.get(CircleId(1), "f83").is_none() && drafts.get(CircleId(1), "f84").is_some());
    }
}
