//! The one file form of keys, batches and programs, and bounded reading of the `tfhe` crate's own bytes.
//!
//! ```text
//! offset  bytes
//!      0      8  "FHEBATCH"
//!      8      2  version of the form, 1
//!     10      1  kind: 1 client key, 2 evaluation key, 3 batch, 4 program
//!     11      1  0
//!     12      4  h, length of the header
//!     16      8  b, length of the body
//!     24      h  header, in postcard's encoding
//!   24+h      b  body
//! 24+h+b     32  BLAKE3 digest of everything before
//! ```
//!
//! Integers are little endian. The digest tells a damaged file from a good one; it does not tell who wrote it. Whatever
//! follows the digest is left unread, so that files can be written one after the other into one stream.

use std::io::{self, ErrorKind, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::named::Named;
use tfhe::safe_serialization::{DeserializationConfig, SerializationConfig};
use tfhe::{Unversionize, Versionize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::params::{ParameterSet, Scheme};

const MAGIC: [u8; 8] = *b"FHEBATCH";
const VERSION: u16 = 1;
const PREFIX_BYTES: usize = 24;
/// Words are converted to and from bytes in pieces of this many bytes.
const CHUNK_BYTES: usize = 1 << 20;
const MAX_HEADER_BYTES: u32 = 1 << 24;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ClientKey = 1,
    EvaluationKey = 2,
    Batch = 3,
    Program = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::ClientKey, Self::EvaluationKey, Self::Batch, Self::Program].into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Name in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientKey => "a client key",
            Self::EvaluationKey => "an evaluation key",
            Self::Batch => "a batch",
            Self::Program => "a program",
        }
    }

    fn actions(self) -> (&'static str, &'static str) {
        match self {
            Self::ClientKey => ("read a client key", "write a client key"),
            Self::EvaluationKey => ("read an evaluation key", "write an evaluation key"),
            Self::Batch => ("read a batch", "write a batch"),
            Self::Program => ("read a program", "write a program"),
        }
    }

    /// Longest body that is accepted: keys are read as a whole before they are parsed, batches as they come.
    fn max_body(self) -> u64 {
        match self {
            Self::ClientKey => 1 << 20,
            Self::EvaluationKey => 1 << 28,
            Self::Batch => 1 << 48,
            // The header holds it all.
            Self::Program => 0,
        }
    }

    /// End of file is a damaged file, everything else is the reader's own error.
    pub(crate) fn read_error(self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::UnexpectedEof => Error::malformed(self.name(), "it is truncated"),
            _ => Error::io(self.actions().0)(error),
        }
    }
}

/// A [`Scheme`] in a header.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SchemeRecord {
    parameters: String,
    simulated: bool,
}

impl From<Scheme> for SchemeRecord {
    fn from(scheme: Scheme) -> Self {
        Self { parameters: scheme.parameters().name().to_owned(), simulated: matches!(scheme, Scheme::Simulated(_)) }
    }
}

impl TryFrom<SchemeRecord> for Scheme {
    type Error = Error;

    fn try_from(record: SchemeRecord) -> Result<Self> {
        let params = ParameterSet::by_name(&record.parameters)?;
        Ok(if record.simulated { Self::Simulated(params) } else { Self::Encrypted(params) })
    }
}

struct HashingWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a file; `body` has to write exactly `body_bytes`.
pub(crate) fn write(
    writer: impl Write,
    kind: Kind,
    header: &impl Serialize,
    body_bytes: u64,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let action = kind.actions().1;
    let header = postcard::to_allocvec(header).map_err(|error| Error::io(action)(io::Error::other(error)))?;
    if header.len() > MAX_HEADER_BYTES as usize || body_bytes > kind.max_body() {
        return Err(Error::io(action)(io::Error::new(ErrorKind::FileTooLarge, "it is too large for a file")));
    }
    let mut writer = HashingWriter { inner: writer, hasher: blake3::Hasher::new() };
    let all = || {
        let mut prefix = [0; PREFIX_BYTES];
        prefix[..8].copy_from_slice(&MAGIC);
        prefix[8..10].copy_from_slice(&VERSION.to_le_bytes());
        prefix[10] = kind as u8;
        prefix[12..16].copy_from_slice(&(header.len() as u32).to_le_bytes());
        prefix[16..24].copy_from_slice(&body_bytes.to_le_bytes());
        writer.write_all(&prefix)?;
        writer.write_all(&header)?;
        body(&mut writer)?;
        let digest = writer.hasher.finalize();
        writer.inner.write_all(digest.as_bytes())?;
        writer.flush()
    };
    all().map_err(Error::io(action))
}

struct HashingReader<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

/// The body of a file that is being read: ends where the file says that it ends.
pub(crate) struct Body<'a> {
    reader: &'a mut dyn Read,
    remaining: u64,
}

impl Body<'_> {
    /// Bytes that are not read yet.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Read for Body<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
        let read = self.reader.read(&mut bytes[..most])?;
        self.remaining -= read as u64;
        Ok(read)
    }
}

/// Reads a file of one kind and passes header and body to `parse`.
///
/// What `parse` makes of the body is returned only if the digest is right. If it is wrong, that is the error, whatever
/// `parse` stumbled over.
pub(crate) fn read<H: DeserializeOwned, T>(
    reader: impl Read,
    kind: Kind,
    parse: impl FnOnce(H, &mut Body<'_>) -> Result<T>,
) -> Result<T> {
    let malformed = |reason: String| Error::malformed(kind.name(), reason);
    let failed = |error| kind.read_error(error);
    let mut reader = HashingReader { inner: reader, hasher: blake3::Hasher::new() };

    let mut prefix = [0; PREFIX_BYTES];
    reader.read_exact(&mut prefix).map_err(failed)?;
    let (magic, rest) = prefix.split_at(8);
    // The remaining 16 bytes: version, kind, zero, header length, body length.
    let [v0, v1, found, zero, h0, h1, h2, h3, body @ ..] = rest else {
        return Err(malformed("it has no prefix".to_owned()));
    };
    if magic != MAGIC {
        return Err(malformed("it is no file of this library".to_owned()));
    }
    let version = u16::from_le_bytes([*v0, *v1]);
    if version != VERSION {
        return Err(malformed(format!("format version {version}, this build reads version {VERSION}")));
    }
    if *found != kind as u8 || *zero != 0 {
        let found = Kind::from_byte(*found).filter(|_| *zero == 0).map_or("something unknown", Kind::name);
        return Err(malformed(format!("the file holds {found}")));
    }
    let header_bytes = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
    let body_bytes = body.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
    if header_bytes > MAX_HEADER_BYTES || body_bytes > kind.max_body() {
        return Err(malformed(format!("it announces {header_bytes} + {body_bytes} bytes, which is too long")));
    }

    let mut header = Vec::new();
    (&mut reader).take(u64::from(header_bytes)).read_to_end(&mut header).map_err(failed)?;
    if header.len() != header_bytes as usize {
        return Err(failed(ErrorKind::UnexpectedEof.into()));
    }
    let mut body = Body { reader: &mut reader, remaining: body_bytes };
    let parsed = match postcard::from_bytes(&header) {
        Ok(header) => parse(header, &mut body),
        Err(error) => Err(malformed(format!("its header is unreadable: {error}"))),
    };
    let unread = drain(&mut body).map_err(failed)?;
    if body.remaining != 0 {
        return Err(failed(ErrorKind::UnexpectedEof.into()));
    }
    let mut digest = [0; blake3::OUT_LEN];
    let expected = reader.hasher.finalize();
    reader.inner.read_exact(&mut digest).map_err(failed)?;
    if expected != digest {
        return Err(malformed("its digest is wrong, it is damaged".to_owned()));
    }
    if unread != 0 && parsed.is_ok() {
        return Err(malformed(format!("{unread} bytes too many")));
    }
    parsed
}

/// Reads to the end, through memory that is wiped: it may be a key. How many bytes there were.
fn drain(reader: &mut impl Read) -> io::Result<u64> {
    let mut buffer = Zeroizing::new([0; 4096]);
    let mut total = 0;
    loop {
        match reader.read(&mut buffer[..]) {
            Ok(0) => return Ok(total),
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes words, little endian.
pub(crate) fn write_words(writer: &mut dyn Write, words: &[u64]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES.min(words.len() * 8));
    for chunk in words.chunks(CHUNK_BYTES / 8) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|word| word.to_le_bytes()));
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads `count` words, little endian; memory grows with the bytes that have arrived.
pub(crate) fn read_words(reader: &mut impl Read, count: usize) -> io::Result<Vec<u64>> {
    let mut words = Vec::new();
    let mut bytes = vec![0; CHUNK_BYTES.min(count.saturating_mul(8))];
    while words.len() < count {
        let bytes = &mut bytes[..(CHUNK_BYTES / 8).min(count - words.len()) * 8];
        reader.read_exact(bytes)?;
        let (chunks, _) = bytes.as_chunks::<8>();
        words.extend(chunks.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    }
    Ok(words)
}

/// Appends an object in the `tfhe` crate's versioned, self-describing form ("safe serialisation").
pub(crate) fn write_tfhe<T: Serialize + Versionize + Named>(writer: impl Write, object: &T) -> io::Result<()> {
    let config = SerializationConfig::new_with_unlimited_size();
    config.serialize_into(object, writer).map_err(|error| io::Error::other(error.to_string()))
}

/// Bytes that [`write_tfhe`] takes for an object.
pub(crate) fn tfhe_bytes<T: Serialize + Versionize + Named>(object: &T) -> io::Result<u64> {
    let config = SerializationConfig::new_with_unlimited_size();
    config.serialized_size(object).map_err(|error| io::Error::other(error.to_string()))
}

/// Reads one object in the `tfhe` crate's form, of at most `limit` bytes, without checking it against parameters.
///
/// The `tfhe` crate allocates up to `limit` bytes before they have arrived.
pub(crate) fn read_tfhe<T>(reader: impl Read, limit: u64, what: &'static str) -> Result<T>
where
    T: DeserializeOwned + Unversionize + Named,
{
    let config = DeserializationConfig::new(limit).disable_conformance();
    config.deserialize_from(reader).map_err(|reason| Error::malformed(what, reason))
}

/// Reads one object in the `tfhe` crate's form that is all of `bytes`, and hands it to `own` before anything else can
/// fail: what wipes a key owns it then.
pub(crate) fn parse_tfhe<T, U>(mut bytes: &[u8], what: &'static str, own: impl FnOnce(T) -> Result<U>) -> Result<U>
where
    T: DeserializeOwned + Unversionize + Named,
{
    let length = bytes.len() as u64;
    let object = own(read_tfhe(&mut bytes, length, what)?)?;
    if bytes.is_empty() { Ok(object) } else { Err(Error::malformed(what, format!("{} bytes too many", bytes.len()))) }
}

/// Whether the `tfhe` crate can expand this seed.
///
/// A seed starts its generator at a byte of a 2^128-block table. What is no such byte, or leaves too few of them, makes
/// the `tfhe` crate panic, and its conformance checks skip seeds; nor does it show the position other than by
/// serialising it.
pub(crate) fn seed_is_sound(seed: &CompressionSeed) -> bool {
    let position = postcard::to_allocvec(&seed.inner.first_index);
    let position = position.and_then(|bytes| postcard::from_bytes::<(u128, u64)>(&bytes));
    position.is_ok_and(|(block, byte)| block >> 127 == 0 && byte < 16)
}

/// Appends everything that is left to `bytes`, at most `limit` bytes.
pub(crate) fn read_all(reader: impl Read, limit: u64, kind: Kind, bytes: &mut Vec<u8>) -> Result<()> {
    let read = reader.take(limit + 1).read_to_end(bytes).map_err(|error| kind.read_error(error))?;
    if read as u64 > limit {
        return Err(Error::malformed(kind.name(), format!("it is longer than {limit} bytes")));
    }
    Ok(())
}
