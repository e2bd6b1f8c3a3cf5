//! Commands that the tasks run, behind a trait: tests judge a lane by what a fake shell answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, thread};

use anyhow::{Context, Result};

/// A command and where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name or path of the program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables on top of this process's own.
    pub variables: BTreeMap<String, String>,
    /// Working directory; the workspace root if absent.
    pub folder: Option<PathBuf>,
    /// Whether the output is kept for the caller only; otherwise it is shown while it comes.
    pub quiet: bool,
}

impl Call {
    /// A program with the words of `line`, which are separated by single spaces.
    #[must_use]
    pub fn new(program: &str, line: &str) -> Self {
        Self {
            program: program.to_owned(),
            arguments: line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            variables: BTreeMap::new(),
            folder: None,
            quiet: false,
        }
    }

    /// Cargo with the words of `line`.
    #[must_use]
    pub fn cargo(line: &str) -> Self {
        Self::new("cargo", line)
    }

    /// This program with the words of `line`.
    #[must_use]
    pub fn xtask(line: &str) -> Self {
        Self::new("xtask", line)
    }

    /// Appends an argument that may contain spaces.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Keeps the output from the terminal.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.quiet = true;
        self
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// What a command left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Both streams, for messages that tools print to either.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// The last lines that are not empty, for an error message.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// What tasks need from the machine.
pub trait Shell {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// If it cannot be started.
    fn run(&self, call: &Call) -> Result<Output>;

    /// Whether there is such a program.
    fn finds(&self, program: &str) -> bool;

    /// A variable of the environment; empty ones do not count.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether there is such a file or folder.
    fn exists(&self, path: &Path) -> bool;
}

/// The machine that this program runs on.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    path: OsString,
}

impl Machine {
    /// Programs are looked for in `folders` first.
    ///
    /// # Errors
    /// If a folder's name cannot stand in a search path.
    pub fn new(root: &Path, folders: &[PathBuf]) -> Result<Self> {
        let old = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.iter().cloned().chain(env::split_paths(&old)))?;
        Ok(Self { root: root.to_owned(), path })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        match program {
            // The cargo that started this program, so that a chosen toolchain stays chosen.
            "cargo" => Some(env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)),
            "xtask" => env::current_exe().ok(),
            _ if program.contains('/') => Some(program.into()).filter(|path: &PathBuf| path.is_file()),
            _ => env::split_paths(&self.path).map(|folder| folder.join(program)).find(|file| file.is_file()),
        }
    }
}

impl Shell for Machine {
    fn run(&self, call: &Call) -> Result<Output> {
        let program = self.find(&call.program).with_context(|| format!("there is no {}", call.program))?;
        if !call.quiet {
            println!("+ {call}");
        }
        let mut child = Command::new(program)
            .args(&call.arguments)
            .env("PATH", &self.path)
            .env("CARGO_TERM_COLOR", "never")
            .envs(&call.variables)
            .current_dir(call.folder.as_deref().unwrap_or(&self.root))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", call.program))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let quiet = call.quiet;
        let errors = thread::spawn(move || {
            gather(err, |line| {
                if !quiet {
                    eprint!("{line}");
                }
            })
        });
        let stdout = gather(out, |line| {
            if !quiet {
                print!("{line}");
            }
        })?;
        let stderr = errors.join().unwrap_or_else(|_| Ok(String::new()))?;
        Ok(Output { success: child.wait()?.success(), stdout, stderr })
    }

    fn finds(&self, program: &str) -> bool {
        self.find(program).is_some()
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn exists(&self, path: &Path) -> bool {
        self.root.join(path).exists()
    }
}

/// Reads to the end, handing on each line.
fn gather(stream: Option<impl Read>, mut show: impl FnMut(&str)) -> Result<String> {
    let mut text = String::new();
    if let Some(stream) = stream {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line)? > 0 {
            let read = String::from_utf8_lossy(&line);
            show(&read);
            text.push_str(&read);
            line.clear();
        }
    }
    Ok(text)
}

#[cfg(test)]
pub mod fake {
    //! A shell that runs nothing.

    use super::*;
    use std::cell::RefCell;

    /// Answers by the first rule whose text occurs in a command; a command without a rule succeeds.
    #[derive(Debug, Default)]
    pub struct Fake {
        /// Text in the command, and the answer.
        pub rules: Vec<(&'static str, Output)>,
        /// Programs that are not there.
        pub missing: Vec<&'static str>,
        /// Variables of the environment.
        pub variables: BTreeMap<&'static str, &'static str>,
        /// Paths that are not there.
        pub absent: Vec<&'static str>,
        /// The commands so far.
        pub calls: RefCell<Vec<Call>>,
    }

    impl Fake {
        /// A command that fails.
        pub fn fails(text: &'static str) -> Self {
            Self {
                rules: vec![(text, Output { stderr: "planted".to_owned(), ..Output::default() })],
                ..Self::default()
            }
        }

        /// The commands as lines.
        pub fn lines(&self) -> Vec<String> {
            self.calls.borrow().iter().map(ToString::to_string).collect()
        }
    }

    impl Shell for Fake {
        fn run(&self, call: &Call) -> Result<Output> {
            self.calls.borrow_mut().push(call.clone());
            let line = call.to_string();
            let rule = self.rules.iter().find(|(text, _)| line.contains(text));
            Ok(rule.map_or(Output { success: true, ..Output::default() }, |(_, output)| output.clone()))
        }

        fn finds(&self, program: &str) -> bool {
            !self.missing.contains(&program)
        }

        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).map(|&value| value.to_owned())
        }

        fn exists(&self, path: &Path) -> bool {
            !self.absent.iter().any(|absent| path == Path::new(absent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_runs_commands_and_keeps_their_output() -> Result<()> {
        let machine = Machine::new(Path::new("/"), &[])?;
        let call = Call::new("sh", "-c").arg("echo out; echo $NAME >&2; exit $CODE").var("NAME", "err").quietly();
        let output = machine.run(&call.clone().var("CODE", "0"))?;
        assert_eq!((output.success, &*output.stdout, &*output.stderr), (true, "out\n", "err\n"));
        assert!(!machine.run(&call.var("CODE", "3"))?.success);
        assert!(machine.finds("sh") && !machine.finds("no-such-program"));
        assert!(machine.run(&Call::new("no-such-program", "")).is_err());
        Ok(())
    }
}
