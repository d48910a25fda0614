//! Ends at a first signal in order, and at a second one at once.

use std::{sync::mpsc, thread, time::Duration};

use frontend::{
    error::{CliError, os_error_text},
    signals::{is_ignored, listen},
};
use terminal::output;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind},
    sync::oneshot,
};

/// How long a runtime may take to end once all is done.
pub(crate) const RUNTIME_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the last words may take.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The exit code after a second signal.
const SECOND_SIGNAL_EXIT_CODE: i32 = 130;

/// Done at the first SIGTERM, SIGINT or SIGHUP that the process was not started to ignore; a second ends it at once, after
/// these last words.
pub(crate) fn shutdown(
    final_output: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    on_first_signal(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()], final_output)
}

/// The same at other signals.
pub(crate) fn shutdown_at(kinds: &[SignalKind]) -> Result<impl Future<Output = ()> + Send + use<>, CliError> {
    on_first_signal(kinds, || {})
}

/// Signals are heard by a thread of their own, with a runtime of its own: whatever blocks the other one, or its end, a second
/// signal ends the process.
fn on_first_signal<L: FnOnce() + Send + 'static>(
    kinds: &[SignalKind],
    final_output: L,
) -> Result<impl Future<Output = ()> + Send + use<L>, CliError> {
    let kinds: Vec<SignalKind> = kinds.iter().copied().filter(|kind| !is_ignored(*kind)).collect();
    let (send, first) = oneshot::channel();
    let (tell, is_listening) = mpsc::channel();
    let cannot = |error: &std::io::Error| {
        CliError::usage("cannot listen to signals", os_error_text(error), "are there too many processes?")
    };
    let runtime = Builder::new_current_thread().enable_io().build().map_err(|error| cannot(&error))?;
    let listen_thread = move || {
        runtime.block_on(async {
            let listening = kinds.into_iter().map(listen).collect::<Result<Vec<_>, _>>();
            let (mut signals, listening) = match listening {
                Ok(signals) => (signals, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            };
            let is_over = listening.is_err();
            // Whoever started this thread waits for it.
            let _told = tell.send(listening);
            if is_over {
                return;
            }
            next(&mut signals).await;
            // Where nobody waits for it, all is done already.
            let _done = send.send(());
            next(&mut signals).await;
            exit_now(final_output);
        });
    };
    thread::Builder::new().name("signals".into()).spawn(listen_thread).map_err(|error| cannot(&error))?;
    is_listening.recv().map_err(|_| cannot(&std::io::Error::other("the thread for signals has ended")))??;
    Ok(async move {
        if first.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// The last words have a thread of their own: a disk or a terminal that stands still does not keep the process.
fn exit_now(final_output: impl FnOnce() + Send + 'static) {
    let (tell, said) = mpsc::channel();
    let write_final_output = move || {
        final_output();
        output::to_stderr("ended at once, by a second signal\n");
        // The process may have ended without waiting any longer.
        let _late = tell.send(());
    };
    if thread::Builder::new().name("last words".into()).spawn(write_final_output).is_ok() {
        // Said, or late.
        let _said = said.recv_timeout(FINAL_OUTPUT_TIMEOUT);
    }
    std::process::exit(SECOND_SIGNAL_EXIT_CODE);
}

async fn next(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let is_one = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if is_one { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
