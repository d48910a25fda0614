//! A connection for calling functions: to the circle that the user named or to the only one there is, with a key if the
//! user has one.

use client_ws::{Access, CallerInfo, CircleWsClient, ClientError, Description, FunctionInfo, ReconnectPolicy};
use console::session::{KeySource, Keyring};
use frontend::{
    config,
    connect::fetch_description,
    error::{AdviceCommands, Caller, CliError},
    known_circles::check::{IdentityCheck, UserFiles},
    target::{self, CircleTarget},
};
use keys::keystore::{KeyName, Keystore};
use terminal::{output::line_to_stderr, runtime::unlock_into_keyring};

use crate::cli::CallerArgs;

/// A connection to a circle, authenticated if the user has a key.
pub(super) struct CallerConnection {
    pub client: CircleWsClient,
    pub target: CircleTarget,
    /// The description of the circle and the caller.
    pub circle: Description,
}

impl CallerConnection {
    /// Connects, and authenticates unless the caller is to be anonymous, has no key, or everyone may play there. Prompts
    /// for a passphrase if needed.
    ///
    /// # Errors
    ///
    /// Fails if no circle is named, it cannot be reached, or it does not admit the key.
    pub(super) async fn open(args: &CallerArgs) -> Result<Self, CliError> {
        Self::connect(args, None).await
    }

    /// Connects as [`open`](Self::open) does, with a client that reconnects.
    pub(super) async fn open_reconnecting(args: &CallerArgs, policy: ReconnectPolicy) -> Result<Self, CliError> {
        Self::connect(args, Some(policy)).await
    }

    async fn connect(args: &CallerArgs, policy: Option<ReconnectPolicy>) -> Result<Self, CliError> {
        let options = args.connect.options();
        let target = find_target(args).await?;
        let check = IdentityCheck::new(UserFiles::for_current_user(), &options.connect, options.config.as_deref());
        let notes = check.notes();
        let failed = |error| CliError::Client { target: target.clone(), error };
        let mut builder = options.connect.client_builder(&target.url, check);
        if let Some(policy) = policy {
            builder = builder.reconnect(policy);
        }
        let client = builder.build().map_err(failed)?;
        // The normalised URL, as other messages show it.
        let target = CircleTarget { url: client.url().to_string().into(), ..target };
        if let (Some(name), Ok(store)) = (&options.connect.key, Keystore::open_default()) {
            store.show(name)?;
        }
        let connected = async {
            client.connect().await?;
            fetch_description(&client).await
        };
        let circle = connected.await;
        notes.take().iter().for_each(|note| line_to_stderr(note.text()));
        let connection = Self { client, circle: circle.map_err(|error| failed_on(&target, error))?, target };
        match connection.choose_key(args)? {
            Some(name) => connection.authenticate(&name, options.passphrase_fd).await,
            None => Ok(connection),
        }
    }

    /// The key to authenticate with.
    fn choose_key(&self, args: &CallerArgs) -> Result<Option<KeyName>, CliError> {
        let is_open = self.circle.access == Access::Open && self.circle.you.may.is_none();
        match &args.connect.key {
            Some(name) => Ok(Some(name.clone())),
            None if args.anonymous || is_open => Ok(None),
            None => Keyring::default().preferred(),
        }
    }

    async fn authenticate(mut self, name: &KeyName, passphrase_fd: Option<u32>) -> Result<Self, CliError> {
        let failed = |error| CliError::from_authentication(Some(name), &self.target, error);
        // Before the user types a passphrase.
        self.client.check_encryption().map_err(failed)?;
        let keypair = unlock_into_keyring(&Keyring::default(), name, passphrase_fd)?;
        let authenticated = async {
            // A circle may close an anonymous connection while the user types.
            if !self.client.is_connected() {
                self.client.connect().await?;
            }
            self.client.authenticate_as(keypair).await?;
            self.client.describe().await
        };
        self.circle = authenticated.await.map_err(failed)?;
        Ok(self)
    }

    /// The functions that the caller may call.
    pub(super) async fn functions(&self) -> Result<Vec<FunctionInfo>, CliError> {
        self.client.functions().await.map_err(|error| failed_on(&self.target, error))
    }

    /// The caller, as the circle identifies it.
    pub(super) fn you(&self) -> &CallerInfo {
        &self.circle.you
    }

    /// Returns the function with a name.
    ///
    /// # Errors
    ///
    /// There is no such function for this caller; the error names the nearest.
    pub(super) fn find<'a>(&self, functions: &'a [FunctionInfo], name: &str) -> Result<&'a FunctionInfo, CliError> {
        functions.iter().find(|function| function.name == name).ok_or_else(|| {
            if functions.is_empty() && self.circle.functions.is_none() {
                let fix = "circles new NAME makes an example of a circle with functions";
                return CliError::no_functions(name, &self.target, fix);
            }
            let caller = Caller::from(self.you());
            CliError::function_not_found(name, &self.target, &caller, functions, AdviceCommands::SHELL)
        })
    }
}

pub(super) fn failed_on(target: &CircleTarget, error: ClientError) -> CliError {
    CliError::Client { target: target.clone(), error }
}

/// Finds the circle that the user named, or the only circle of circles.json.
async fn find_target(args: &CallerArgs) -> Result<CircleTarget, CliError> {
    let config = args.config().path();
    if let Some(named) = target::argument_or_env(args.circle.as_deref()) {
        return target::find(&named, config).await;
    }
    let fix = "name a circle: --circle WHERE";
    let Some((path, circles)) = config::find(config.map(Into::into))? else {
        let why = format!("you named none, and there is no {} here", config::FILE);
        return Err(CliError::usage("there is no circle to call", why, fix));
    };
    match circles.as_slice() {
        [only] => target::find(&only.name, config).await,
        [] => Err(CliError::usage("there is no circle to call", format!("{} lists none", path.display()), fix)),
        several => {
            let names: Vec<&str> = several.iter().map(|circle| circle.name.as_str()).collect();
            let why = format!("{} lists several: {}", path.display(), names.join(", "));
            Err(CliError::usage("you named no circle", why, fix))
        }
    }
}
