//! The functions of the circle that the session may call: fetched once per connection and key, and again when their
//! version has changed.

use std::sync::Arc;

use client_ws::{CallerInfo, ClientError, Description, FunctionInfo, FunctionsInfo};
use frontend::text::StyledLine;

use super::{
    core::Core,
    event::{CallerIdentity, CallerRights, ConnectionStatus, DisplayKind, DisplayLines, SessionEvent},
    messages,
    pending::PendingCommand,
    remote::{Remote, RemoteFuture},
};
use crate::commands;

/// The functions of the circle, as far as the session knows them.
#[derive(Default)]
pub(super) struct CircleFunctions {
    /// The functions; `None` before the first answer of the connection.
    pub(super) list: Option<Arc<[FunctionInfo]>>,
    /// The version of the list.
    version: Option<ListVersion>,
    pub(super) refresh: Option<RemoteFuture<FunctionsUpdate>>,
    /// Whether an anonymous caller without rights waits for the fetch.
    is_awaited: bool,
}

/// The version of a list of functions for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListVersion {
    /// The version of the functions and their number; `None` if the circle has none.
    functions: Option<(String, u64)>,
    role: Option<String>,
}

/// What the circle says about the caller and the functions.
pub(super) struct FunctionsUpdate {
    circle: Description,
    /// The functions; `None` if they are unchanged.
    functions: Option<Vec<FunctionInfo>>,
}

impl ListVersion {
    fn of(circle: &Description) -> Self {
        let version = |functions: &FunctionsInfo| (functions.version.clone(), functions.count);
        Self { functions: circle.functions.as_ref().map(version), role: circle.you.role.clone() }
    }
}

/// Fetches the description of the circle, and its functions unless they have the known version.
pub(super) async fn fetch(remote: Arc<dyn Remote>, known: Option<ListVersion>) -> Result<FunctionsUpdate, ClientError> {
    let circle = remote.clone().describe().await?;
    let functions = match (&circle.functions, known) {
        (_, Some(known)) if known == ListVersion::of(&circle) => None,
        (None, _) => Some(Vec::new()),
        (Some(_), _) => Some(remote.functions().await?),
    };
    Ok(FunctionsUpdate { circle, functions })
}

impl Core {
    /// Returns a fetch of the description and of functions that have changed.
    pub(super) fn fetch_functions(
        &self,
    ) -> impl Future<Output = Result<FunctionsUpdate, ClientError>> + Send + 'static {
        fetch(self.remote.clone(), self.functions.version.clone())
    }

    /// Fetches the functions in the background, unless the session does so already.
    pub(super) fn refresh_functions(&mut self) {
        let is_settled = self.connection.status == ConnectionStatus::Connected
            && self.login.identity != CallerIdentity::Authenticating;
        if is_settled && self.functions.refresh.is_none() {
            self.functions.refresh = Some(Box::pin(self.fetch_functions()));
        }
    }

    /// Fetches the functions of a new connection or a new caller, if the circle has functions.
    pub(super) fn load_functions(&mut self) {
        self.functions = CircleFunctions::default();
        let has_functions = self.connection.circle.as_ref().is_some_and(|circle| circle.functions.is_some());
        if has_functions {
            self.refresh_functions();
        } else {
            self.functions.list = Some(Arc::default());
        }
    }

    /// Asks for the rights of an anonymous caller who has none, because the role may have been given some, and then for a
    /// key.
    pub(super) fn find_rights_or_key(&mut self) {
        if !self.has_described_rights() || self.login.requested.is_some() {
            return self.choose_key();
        }
        self.refresh_functions();
        self.functions.is_awaited = true;
    }

    /// Handles the end of a fetch in the background. A lost connection is reported by its notice.
    pub(super) fn on_functions_fetched(&mut self, update: Result<FunctionsUpdate, ClientError>) {
        let is_awaited = std::mem::take(&mut self.functions.is_awaited);
        match update {
            Ok(update) => self.apply_functions(update),
            // The circle does not list them, so none is known.
            Err(_) => {
                self.functions.list.get_or_insert_default();
            }
        }
        if is_awaited && !self.is_ready() {
            return self.choose_key();
        }
        if is_awaited {
            self.report(SessionEvent::Ready);
        }
        self.start_waiting_inputs();
    }

    /// Applies what the circle says about the caller and the functions, and reports changed rights.
    pub(super) fn apply_functions(&mut self, update: FunctionsUpdate) {
        self.store_functions(update);
        self.note_rights();
        self.start_due_init();
    }

    /// Stores what the circle says about the caller and the functions.
    pub(super) fn store_functions(&mut self, update: FunctionsUpdate) {
        let FunctionsUpdate { circle, functions } = update;
        self.functions.version = Some(ListVersion::of(&circle));
        if let Some(functions) = functions {
            self.functions.list = Some(functions.into());
        }
        self.connection.circle = Some(Arc::new(circle));
    }

    /// Reports the rights of the caller if they have changed since the session reported them.
    pub(super) fn note_rights(&mut self) {
        let rights = self.state().rights();
        // Before the session is ready, the caller may get other rights with a key.
        let Some(before) = self.login.noted_rights.as_mut().map(|noted| std::mem::replace(noted, rights)) else {
            return;
        };
        match rights {
            _ if rights == before => {}
            CallerRights::Play => self.note(messages::MAY_PLAY),
            CallerRights::CallsOnly => self.note(messages::CALLS_ONLY),
            CallerRights::None => self.note(messages::NO_RIGHTS),
        }
    }

    /// Returns the function with a name, if the session knows it.
    pub(super) fn function(&self, name: &str) -> Option<&FunctionInfo> {
        self.functions.list.as_ref()?.iter().find(|function| function.name == name)
    }

    /// Lists or documents functions: those of the circle, and those of the session if the caller may play.
    pub(super) fn list_functions(&mut self, text: String) {
        let fetched = self.fetch_functions();
        let command = commands::ReplCommand::Functions(text.clone());
        let may_ask = self.is_ready() && self.state().may_play();
        let own = may_ask.then(|| self.remote.clone().query(command));
        let answer = Box::pin(async move {
            let update = fetched.await?;
            let own = match own {
                Some(own) => Some(own.await?),
                None => None,
            };
            Ok((update, own))
        });
        self.work.pending = Some(PendingCommand::Functions { text, answer });
    }

    pub(super) fn on_functions_listed(
        &mut self,
        answer: Result<(FunctionsUpdate, Option<Vec<StyledLine>>), ClientError>,
    ) {
        let Some(PendingCommand::Functions { text, .. }) = self.work.pending.take() else { return };
        let error = match answer {
            Ok((update, own)) => {
                self.apply_functions(update);
                let known = self.functions.list.clone().unwrap_or_default();
                let lines = commands::list_functions(&known, own, &text, self.room.width);
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                None
            }
            Err(error) => Some(self.show_query_error(error)),
        };
        self.finish_input();
        self.finish_on_connection(error.flatten().as_ref());
        self.start_waiting_inputs();
    }

    /// The caller, as the circle identifies it.
    pub(super) fn you(&self) -> Option<&CallerInfo> {
        self.connection.circle.as_ref().map(|circle| &circle.you)
    }
}
