//! The command line.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use picket::config::{self, Config, PasswordHash};
use picket::{ConfigSource, Picket, start_logging};

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
    /// Check a configuration file: print each problem as FILE:LINE:COL: message, and exit with 1
    /// if a value was refused.
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
    /// Read a password and print its hash, for auth.password_hash.
    Password,
    /// Bring the device up and mind it: the image's part that runs as root.
    #[command(hide = true)]
    Steward,
    /// Pass on what a DHCP client has learned.
    #[command(hide = true)]
    Lease { event: String },
    /// Answer what RAUC asks about the two systems.
    #[command(hide = true)]
    Slot { question: Vec<String> },
}

#[derive(Args)]
struct Run {
    /// Configuration file [default: $PICKET_CONFIG, /boot/config.toml, ./config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, over the file: --set camera.source=file:clip.mp4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Set what holds for one key where the file does not set it.
    #[arg(long = "default", value_name = "KEY=VALUE")]
    defaults: Vec<String>,
    /// How much to log: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log: Option<log::LevelFilter>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => run(cli.run),
        Some(Command::Run(options)) => run(options),
        Some(Command::Check { file }) => return check(file.as_deref()),
        Some(Command::Probe { json }) => {
            let probe = picket::probe();
            match json {
                true => println!("{}", probe.json()),
                false => print!("{probe}"),
            }
            Ok(())
        }
        Some(Command::Routes) => {
            print!("{}", picket::http::listing());
            Ok(())
        }
        Some(Command::Password) => password(),
        Some(Command::Steward) => picket::steward::run().context("this is no Picket device"),
        Some(Command::Lease { event }) => picket::steward::lease(&event).map_err(Into::into),
        Some(Command::Slot { question }) => slot(&question),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("picket: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Run) -> anyhow::Result<()> {
    let Run { config, mut sets, defaults, log } = options;
    // Nothing that is run from here may become more than this is.
    rustix::thread::set_no_new_privs(true).context("the system is too old")?;
    // A level asked for on the command line holds over the file, however that changes.
    sets.extend(log.map(|level| format!("log.level={}", level.as_str().to_lowercase())));
    let file = find(config.as_deref());
    let mut source = ConfigSource { file, defaults, sets, ..ConfigSource::default() };
    let (config, problems) = source.load(None);
    start_logging(config.log.level);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let picket = Picket::builder(config).follow(source).build()?;
    // The one line on standard output: for people to click, and for scripts to wait for.
    println!("picket: watch at http://{}/", picket.address());
    std::io::stdout().flush().context("standard output")?;
    picket.run();
    Ok(())
}

fn check(file: Option<&Path>) -> ExitCode {
    let Some(file) = find(file) else {
        println!("there is no configuration file: Picket would run with its defaults");
        return ExitCode::SUCCESS;
    };
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("picket: cannot read {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let loaded = Config::load(&bytes, &file.display().to_string());
    for problem in &loaded.problems {
        println!("{problem}");
    }
    match loaded.any_refused() {
        true => ExitCode::FAILURE,
        false if loaded.problems.is_empty() => {
            println!("{}: everything in it can be used", file.display());
            ExitCode::SUCCESS
        }
        false => ExitCode::SUCCESS,
    }
}

fn find(named: Option<&Path>) -> Option<PathBuf> {
    let environment = std::env::var_os("PICKET_CONFIG");
    config::find(named, environment.as_deref(), Path::exists)
}

fn slot(question: &[String]) -> anyhow::Result<()> {
    if let Some(answer) = picket::steward::slot(question)? {
        println!("{answer}");
    }
    Ok(())
}

fn password() -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("Password (it will be shown): ");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("cannot read the password")?;
    let hash = PasswordHash::of(line.trim_end_matches(['\r', '\n']))?;
    println!("{}", hash.expose());
    Ok(())
}
