//! What can go wrong between a reader and its bytes, said so that a user can act on it.

use std::io;
use std::time::Duration;

/// A failed read, open or listing. [`SourceError::url`] says where, the message what, and
/// [`SourceError::help`] what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing is there.
    #[error("{url}: not found")]
    NotFound {
        /// Where.
        url: String,
    },
    /// The host refuses (401, 403), or the file's permissions do.
    #[error("{url}: access denied{}", said(message))]
    Denied {
        /// Where.
        url: String,
        /// What the host said, in one line; may be empty.
        message: String,
    },
    /// A folder where a file was expected.
    #[error("{url}: is a folder, not a file")]
    IsFolder {
        /// Where.
        url: String,
    },
    /// A file where a folder was expected.
    #[error("{url}: is not a folder")]
    NotFolder {
        /// Where.
        url: String,
    },
    /// An address that can't be understood, or of a kind that isn't supported.
    #[error("{url}: {what}")]
    BadAddress {
        /// The address, as far as it may be shown.
        url: String,
        /// What is wrong with it.
        what: String,
        /// What to write instead.
        help: String,
    },
    /// The files below an HTTP address were asked for.
    #[error("{url}: the files below a web address can't be listed")]
    NotListable {
        /// Where.
        url: String,
    },
    /// Bytes that are not in the cache were asked for, and the network may not be.
    #[error("{url}: not in the cache, and --offline forbids to fetch it ({what})")]
    Offline {
        /// Where.
        url: String,
        /// Which bytes are missing.
        what: String,
    },
    /// A range whose start lies after its end.
    #[error("{url}: bytes {start}..{end} is not a range")]
    BadRange {
        /// Where.
        url: String,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A range that ends beyond the object.
    #[error("{url}: bytes {start}..{end} lie beyond the end of the file ({size} bytes)")]
    BeyondEnd {
        /// Where.
        url: String,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// The object's size in bytes.
        size: u64,
    },
    /// The object is another one than when this source first saw it.
    #[error("{url}: changed while it was being read ({what})")]
    ObjectChanged {
        /// Where.
        url: String,
        /// What differs.
        what: String,
    },
    /// The server sends whole files only, and this one is too large for that.
    #[error("{url}: the server ignores byte ranges and would send the whole file{}", size_note(*size))]
    RangesIgnored {
        /// Where.
        url: String,
        /// The file's size in bytes, if the server said.
        size: Option<u64>,
    },
    /// The server answered with something that isn't the file.
    #[error("{url}: {what}")]
    BadAnswer {
        /// Where.
        url: String,
        /// What it answered.
        what: String,
    },
    /// A status that is neither success nor worth another try.
    #[error("{url}: the server answered {status}{}", said(message))]
    Status {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server said, in one line; may be empty.
        message: String,
    },
    /// Every try failed.
    #[error("{url}: {what} ({attempts} {}, {:.1} s)", plural(*attempts), elapsed.as_secs_f64())]
    GaveUp {
        /// Where.
        url: String,
        /// What happened at the last try.
        what: String,
        /// How many requests were sent.
        attempts: u32,
        /// How long it took.
        elapsed: Duration,
        /// What to do.
        help: String,
    },
    /// The operating system refuses.
    #[error("{url}: {what}")]
    Io {
        /// Where.
        url: String,
        /// What the system said.
        what: String,
    },
}

impl SourceError {
    /// Whether it only says that something is not there: some stores refuse what they don't have, and what is not there is in no cache.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Denied { .. } | Self::Offline { .. })
    }

    /// Where it happened: a path or an address, without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::NotFound { url }
            | Self::Denied { url, .. }
            | Self::IsFolder { url }
            | Self::NotFolder { url }
            | Self::BadAddress { url, .. }
            | Self::NotListable { url }
            | Self::Offline { url, .. }
            | Self::BadRange { url, .. }
            | Self::BeyondEnd { url, .. }
            | Self::ObjectChanged { url, .. }
            | Self::RangesIgnored { url, .. }
            | Self::BadAnswer { url, .. }
            | Self::Status { url, .. }
            | Self::GaveUp { url, .. }
            | Self::Io { url, .. } => url,
        }
    }

    /// What the user can do, in one sentence.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        Some(match self {
            Self::NotFound { url } if is_web(url) => {
                "check the address; some hosts also say so when the file may not be seen without signing in"
            }
            Self::NotFound { .. } => "check the path",
            Self::Denied { url, .. } if is_web(url) => {
                "the file may need credentials, a signed address, or have moved; open it in a browser to see what the host asks for"
            }
            Self::Denied { .. } => "check the file's permissions",
            Self::IsFolder { .. } => "name a file inside it",
            Self::NotFolder { .. } => "name the folder that holds the files",
            Self::NotListable { .. } => {
                "web servers don't tell which files they hold: give the address of an index, or of one file"
            }
            Self::Offline { .. } => "run once without --offline, or make a mirror with `terravec download`",
            Self::BeyondEnd { .. } => "the file is cut short or damaged: fetch it again",
            Self::ObjectChanged { .. } => "run again to read the new version",
            Self::RangesIgnored { .. } => "download the file and open the local copy",
            Self::BadAnswer { .. } => {
                "open the address in a browser: a sign-in page or a proxy may stand in front of the file"
            }
            Self::BadAddress { help, .. } | Self::GaveUp { help, .. } => help,
            Self::BadRange { .. } | Self::Status { .. } | Self::Io { .. } => return None,
        })
    }

    /// The operating system's error, sorted.
    pub(super) fn from_io(url: &str, error: &io::Error) -> Self {
        let url = url.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { url },
            io::ErrorKind::PermissionDenied => Self::Denied { url, message: String::new() },
            io::ErrorKind::IsADirectory => Self::IsFolder { url },
            io::ErrorKind::NotADirectory => Self::NotFolder { url },
            io::ErrorKind::UnexpectedEof => {
                Self::ObjectChanged { url, what: "it is shorter than it was".into() }
            }
            _ => Self::Io { url, what: error.to_string() },
        }
    }
}

fn is_web(url: &str) -> bool {
    url.contains("://")
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

fn size_note(size: Option<u64>) -> String {
    size.map(|n| format!(" of {n} bytes")).unwrap_or_default()
}

fn plural(attempts: u32) -> &'static str {
    if attempts == 1 { "try" } else { "tries" }
}
