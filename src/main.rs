//! The command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};
use picket::config::{self, Config, Loaded, Problem};
use picket::{ConfigSource, Picket, return_freed_memory, start_logging};

/// Camera firmware: one H.264 encode, every browser, over WebRTC.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the camera (what happens without a command, too).
    Run(Run),
    /// Check a configuration file, and whether what it asks for can be had on this machine: print
    /// each problem as FILE:LINE:COL: message, and exit with 1 if something is not done as asked.
    Check {
        /// The file; without it, the one `run` would use.
        file: Option<PathBuf>,
    },
    /// List the cameras and encoders there are, and which of them `auto` chooses.
    Probe {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Print every HTTP route as METHOD PATH ACCESS.
    Routes,
    /// Read a password, without showing it, and print its hash, for auth.password_hash.
    Password,
    /// Bring the device up and keep it running: the image's part that runs as root.
    #[cfg(feature = "steward")]
    #[command(hide = true)]
    Steward,
    /// Pass on the lease that a DHCP client has got.
    #[cfg(feature = "steward")]
    #[command(hide = true)]
    Lease { event: String },
    /// The bootloader backend of RAUC.
    #[cfg(feature = "steward")]
    #[command(hide = true)]
    Slot { arguments: Vec<String> },
}

#[derive(Args)]
struct Run {
    /// Configuration file [default: $PICKET_CONFIG, /boot/config.toml, ./config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, or several of a section, over the file: --set camera.source=file:clip.mp4,
    /// --set 'camera.overlay={text="Garden"}'. Everybody on the machine can read it: for a
    /// password, see --set-file.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Set one key, over the file and over --set, to what stands in a file:
    /// --set-file auth.password=/run/secrets/camera. It is read when Picket starts.
    #[arg(long = "set-file", value_name = "KEY=FILE")]
    set_files: Vec<String>,
    /// Set a default for one key, used where the file does not set it.
    #[arg(long = "default", value_name = "KEY=VALUE")]
    defaults: Vec<String>,
    /// How much to log: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log: Option<log::LevelFilter>,
}

fn main() -> ExitCode {
    return_freed_memory();
    let cli = Cli::try_parse().unwrap_or_else(|error| without_values(error).exit());
    let result = match cli.command {
        None => run(cli.run),
        Some(Command::Run(options)) => run(options),
        Some(Command::Check { file }) => check(file.as_deref()),
        Some(Command::Probe { json }) => {
            let probe = picket::probe();
            match json {
                true => say(&format!("{}\n", probe.json())),
                false => say(&probe.to_string()),
            }
        }
        Some(Command::Routes) => say(&picket::http::listing()),
        Some(Command::Password) => password::ask(),
        #[cfg(feature = "steward")]
        Some(Command::Steward) => picket::run_steward().context("not a Picket image"),
        #[cfg(feature = "steward")]
        Some(Command::Lease { event }) => picket::report_lease(&event).map_err(Into::into),
        #[cfg(feature = "steward")]
        Some(Command::Slot { arguments }) => rauc_backend(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Told>() => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "picket: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with the command line, without what was written where something else belongs: it may
/// be a password, and a service's output is kept.
fn without_values(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let hidden = |shown: &str| ContextValue::String(format!("{shown}…"));
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let option = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(option)) => option.split_once('=').map(|(name, _)| name),
                _ => None,
            };
            let option = option.map(|name| format!("{name}=")).unwrap_or_default();
            error.insert(ContextKind::InvalidArg, hidden(&option));
            error.remove(ContextKind::Suggested);
        }
        ErrorKind::InvalidSubcommand => {
            error.remove(ContextKind::SuggestedSubcommand);
            error.remove(ContextKind::Suggested);
        }
        _ => {}
    }
    let is_command = |name: &str| Cli::command().find_subcommand(name).is_some();
    if let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand)
        && !is_command(name)
    {
        error.insert(ContextKind::InvalidSubcommand, hidden(""));
    }
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, hidden(""));
    }
    error
}

/// What went wrong has been said.
#[derive(Debug, thiserror::Error)]
#[error("see above")]
struct Told;

/// Writes to standard output. Who reads it may have seen enough (`picket routes | head`).
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

fn run(options: Run) -> anyhow::Result<()> {
    let Run { config, mut sets, set_files, defaults, log } = options;
    // Nothing that is run from here may become more than this is.
    rustix::thread::set_no_new_privs(true).context("the system is too old")?;
    // A level asked for on the command line holds over the file, however that changes.
    sets.extend(log.map(|level| format!("log.level={}", level.as_str().to_lowercase())));
    let file = find(config.as_deref());
    let mut source = ConfigSource { file, defaults, sets, set_files, ..ConfigSource::default() };
    let (config, problems) = source.load(None);
    start_logging(config.log.level);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let picket = Picket::builder(config).follow(source).build()?;
    // What is on standard output: for people to click, and for scripts to wait for. A camera whose
    // output nobody takes runs all the same.
    let _ = say(&format!("{}\n", picket.welcome()));
    picket.run();
    Ok(())
}

fn check(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = find(file) else {
        return say("there is no configuration file: Picket would run with its defaults\n");
    };
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let Loaded { config, mut problems, places, .. } =
        Config::load(&bytes, &file.display().to_string());
    problems.extend(picket::check(config, &places));
    problems.sort_by_key(|problem| problem.place.line());
    for problem in &problems {
        say(&format!("{problem}\n"))?;
    }
    if problems.iter().any(Problem::is_refusal) {
        return Err(Told.into());
    }
    match problems.is_empty() {
        true => say(&format!("{}: everything in it can be used\n", file.display())),
        false => Ok(()),
    }
}

fn find(named: Option<&Path>) -> Option<PathBuf> {
    let environment = std::env::var_os("PICKET_CONFIG");
    config::find(named, environment.as_deref(), Path::exists)
}

#[cfg(feature = "steward")]
fn rauc_backend(arguments: &[String]) -> anyhow::Result<()> {
    match picket::rauc_backend(arguments)? {
        Some(output) => say(&format!("{output}\n")),
        None => Ok(()),
    }
}

/// `picket password`.
mod password {
    use std::io::{BufRead, IsTerminal, Stdin, Write};

    use anyhow::{Context, bail};
    use picket::config::PasswordHash;
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Reads a password and prints its hash. On a terminal it is asked for twice, and not shown.
    pub(super) fn ask() -> anyhow::Result<()> {
        let stdin = std::io::stdin();
        let password = if stdin.is_terminal() {
            let hidden = Hidden::begin(&stdin)?;
            let password = prompt(&stdin, "Password: ")?;
            // Before it is typed a second time.
            PasswordHash::check(&password)?;
            if prompt(&stdin, "The same again: ")? != password {
                bail!("the two are not the same; start again");
            }
            drop(hidden);
            password
        } else {
            line(&stdin)?
        };
        super::say(&format!("{}\n", PasswordHash::of(&password)?.expose()))
    }

    fn prompt(stdin: &Stdin, words: &str) -> anyhow::Result<String> {
        let mut out = std::io::stderr();
        let _ = write!(out, "{words}").and_then(|()| out.flush());
        let line = line(stdin);
        // The line end that was typed is not shown either.
        let _ = writeln!(out);
        line
    }

    fn line(stdin: &Stdin) -> anyhow::Result<String> {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).context("cannot read the password")?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// A terminal that does not show what is typed; it does again when this is dropped.
    struct Hidden<'a>(&'a Stdin, Termios);

    impl<'a> Hidden<'a> {
        fn begin(stdin: &'a Stdin) -> anyhow::Result<Self> {
            let before = tcgetattr(stdin).context("cannot ask the terminal")?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            // What was typed ahead, and shown, is no password.
            tcsetattr(stdin, OptionalActions::Flush, &hidden)
                .context("cannot keep the terminal from showing what is typed")?;
            Ok(Self(stdin, before))
        }
    }

    impl Drop for Hidden<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.0, OptionalActions::Now, &self.1);
        }
    }
}
