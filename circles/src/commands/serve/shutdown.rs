//! Shutdown by signals: the first one drains, the second one ends the process at once.

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

/// Time for a runtime to end once all is done.
pub(crate) const RUNTIME_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for the final output.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// Exit code after a second signal.
const SECOND_SIGNAL_EXIT_CODE: i32 = 130;

/// Completes at the first SIGTERM, SIGINT or SIGHUP, except signals that the process inherited as ignored. A second signal
/// runs `final_output` and ends the process.
pub(crate) fn shutdown(
    final_output: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    on_first_signal(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()], final_output)
}

/// As [`shutdown`], for other signals and without final output.
pub(crate) fn shutdown_at(kinds: &[SignalKind]) -> Result<impl Future<Output = ()> + Send + use<>, CliError> {
    on_first_signal(kinds, || {})
}

/// Listens in a separate thread with its own runtime, so that a second signal ends the process even if the main runtime is
/// blocked.
fn on_first_signal<L: FnOnce() + Send + 'static>(
    kinds: &[SignalKind],
    final_output: L,
) -> Result<impl Future<Output = ()> + Send + use<L>, CliError> {
    let kinds: Vec<SignalKind> = kinds.iter().copied().filter(|kind| !is_ignored(*kind)).collect();
    let (send, first) = oneshot::channel();
    let (tell, is_listening) = mpsc::channel();
    let cannot = |error: &std::io::Error| {
        CliError::usage("cannot listen for signals", os_error_text(error), "are there too many processes?")
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
            // The starting thread waits for this.
            let _sent = tell.send(listening);
            if is_over {
                return;
            }
            next(&mut signals).await;
            // If the receiver is gone, all is done already.
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

/// Writes the final output in a separate thread: a blocked disk or terminal must not keep the process alive.
fn exit_now(final_output: impl FnOnce() + Send + 'static) {
    let (tell, written) = mpsc::channel();
    let write_final_output = move || {
        final_output();
        output::to_stderr("second signal: ended at once\n");
        // The main thread may have stopped waiting.
        let _late = tell.send(());
    };
    if thread::Builder::new().name("final output".into()).spawn(write_final_output).is_ok() {
        // Written, or too late.
        let _written = written.recv_timeout(FINAL_OUTPUT_TIMEOUT);
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
