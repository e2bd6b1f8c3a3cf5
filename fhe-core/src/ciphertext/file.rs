//! Files of batches, and streams of the `tfhe` crate's ciphertexts.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tfhe::named::Named;
use tfhe::{
    FheBool, FheInt2, FheInt4, FheInt6, FheInt8, FheInt10, FheInt12, FheInt14, FheInt16, FheInt32, FheInt64, FheInt128,
    FheInt160, FheInt256, FheUint2, FheUint4, FheUint6, FheUint8, FheUint10, FheUint12, FheUint14, FheUint16,
    FheUint32, FheUint64, FheUint128, FheUint160, FheUint256, Unversionize, Versionize,
};

use super::{Batch, BlockInfo, Column, TfheInput, TfheValue};
use crate::error::{Error, Result};
use crate::file::{self, Kind, SchemeRecord};
use crate::params::{ParameterSet, Scheme};
use crate::types::Type;

/// Longest object that is read from a stream: the largest type has 128 blocks of 16.4 kB, and a tag that its client
/// chooses.
const MAX_VALUE_BYTES: u64 = 1 << 23;

/// Rows that are converted at once while a stream is read.
const CHUNK_ROWS: usize = 256;

/// Header of a batch's file; the body is the words of all columns, one after the other.
#[derive(Serialize, Deserialize)]
struct BatchHeader {
    scheme: Option<SchemeRecord>,
    rows: u64,
    columns: Vec<ColumnHeader>,
}

#[derive(Serialize, Deserialize)]
struct ColumnHeader {
    name: String,
    ty: Type,
    infos: Vec<BlockInfo>,
}

impl Batch {
    /// Writes the batch to a file: version, kind, parameters, names, types and bounds, the words, and a digest that
    /// finds damage.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, writer: impl Write) -> Result<()> {
        let header = |(name, column): (&str, &Column)| ColumnHeader {
            name: name.to_owned(),
            ty: column.ty(),
            infos: column.infos().to_vec(),
        };
        let header = BatchHeader {
            scheme: self.scheme().map(SchemeRecord::from),
            rows: self.rows() as u64,
            columns: self.columns().map(header).collect(),
        };
        let bytes = self.columns().map(|(_, column)| 8 * column.words().len() as u64).sum();
        file::write(writer, Kind::Batch, &header, bytes, |out| {
            self.columns().try_for_each(|(_, column)| file::write_words(out, column.words()))
        })
    }

    /// Reads what [`write`](Self::write) wrote. Memory grows with the bytes that arrive, not with what they announce.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that are truncated, damaged or something else, [`Error::UnsupportedParameters`],
    /// [`Error::Io`].
    pub fn read(reader: impl Read) -> Result<Self> {
        let malformed = |reason: String| Error::malformed(Kind::Batch.name(), reason);
        file::read(reader, Kind::Batch, |header: BatchHeader, body| {
            let Some(scheme) = header.scheme.map(Scheme::try_from).transpose()? else {
                let empty = header.columns.is_empty() && header.rows == 0;
                return if empty { Ok(Self::new()) } else { Err(malformed("it names no parameters".to_owned())) };
            };
            let mut batch = Self::new();
            for ColumnHeader { name, ty, infos } in header.columns {
                let words = usize::try_from(header.rows).ok();
                let words = words.and_then(|rows| rows.checked_mul(ty.blocks() * scheme.ciphertext_words()));
                let words = words.filter(|words| *words as u64 <= body.remaining() / 8);
                let words = words.ok_or_else(|| malformed(format!("column `{name}` is longer than the file")))?;
                let words = file::read_words(body, words).map_err(|error| Kind::Batch.read_error(error))?;
                let column = Column::from_words(ty, scheme, words, infos);
                column
                    .and_then(|column| batch.insert(&name, column))
                    .map_err(|error| malformed(format!("column `{name}`: {error}")))?;
            }
            Ok(batch)
        })
    }
}

impl Column {
    /// Writes the rows as a sequence of safely serialised `tfhe` objects (`FheUint32` for a column of `u32`, and so
    /// on), which any client of the `tfhe` crate reads one by one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a width that the `tfhe` crate has no type for;
    /// [`Error::ParameterMismatch`] for a simulated column; [`Error::Io`].
    pub fn write_tfhe(&self, writer: impl Write) -> Result<()> {
        match self.ty() {
            Type::Bool => self.write_values::<FheBool>(writer),
            Type::Uint(2) => self.write_values::<FheUint2>(writer),
            Type::Uint(4) => self.write_values::<FheUint4>(writer),
            Type::Uint(6) => self.write_values::<FheUint6>(writer),
            Type::Uint(8) => self.write_values::<FheUint8>(writer),
            Type::Uint(10) => self.write_values::<FheUint10>(writer),
            Type::Uint(12) => self.write_values::<FheUint12>(writer),
            Type::Uint(14) => self.write_values::<FheUint14>(writer),
            Type::Uint(16) => self.write_values::<FheUint16>(writer),
            Type::Uint(32) => self.write_values::<FheUint32>(writer),
            Type::Uint(64) => self.write_values::<FheUint64>(writer),
            Type::Uint(128) => self.write_values::<FheUint128>(writer),
            Type::Uint(160) => self.write_values::<FheUint160>(writer),
            Type::Uint(256) => self.write_values::<FheUint256>(writer),
            Type::Int(2) => self.write_values::<FheInt2>(writer),
            Type::Int(4) => self.write_values::<FheInt4>(writer),
            Type::Int(6) => self.write_values::<FheInt6>(writer),
            Type::Int(8) => self.write_values::<FheInt8>(writer),
            Type::Int(10) => self.write_values::<FheInt10>(writer),
            Type::Int(12) => self.write_values::<FheInt12>(writer),
            Type::Int(14) => self.write_values::<FheInt14>(writer),
            Type::Int(16) => self.write_values::<FheInt16>(writer),
            Type::Int(32) => self.write_values::<FheInt32>(writer),
            Type::Int(64) => self.write_values::<FheInt64>(writer),
            Type::Int(128) => self.write_values::<FheInt128>(writer),
            Type::Int(160) => self.write_values::<FheInt160>(writer),
            Type::Int(256) => self.write_values::<FheInt256>(writer),
            ty => Err(Error::Unavailable {
                what: format!("a file of {ty} values of the tfhe crate"),
                reason: "it has no type of that width; `to_tfhe` gives radix ciphertexts".to_owned(),
            }),
        }
    }

    fn write_values<V: TfheValue + Serialize + Versionize + Named>(&self, writer: impl Write) -> Result<()> {
        let mut writer = BufWriter::new(writer);
        // A column without rows has no values to convert, but may still be of the wrong scheme.
        self.slice(0..0)?.to_tfhe::<V>()?;
        for start in (0..self.rows()).step_by(CHUNK_ROWS) {
            let rows = self.slice(start..self.rows().min(start + CHUNK_ROWS))?;
            for value in rows.to_tfhe::<V>()? {
                file::write_tfhe(&mut writer, &value).map_err(Error::io("write a column"))?;
            }
        }
        writer.flush().map_err(Error::io("write a column"))
    }

    /// Reads safely serialised `tfhe` objects of type `V` until the reader ends, for example the `FheUint32` or
    /// `CompressedFheUint32` values of any client of the `tfhe` crate.
    ///
    /// There is no digest in this form: damaged words are accepted and decrypt to nonsense.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that are no such objects, [`Error::Io`], and the errors of
    /// [`from_tfhe`](Self::from_tfhe).
    pub fn read_tfhe<V>(reader: impl Read, params: ParameterSet) -> Result<Self>
    where
        V: TfheInput + DeserializeOwned + Unversionize + Named,
    {
        let mut reader = BufReader::new(reader);
        let mut all: Option<Self> = None;
        loop {
            let mut values = Vec::new();
            while values.len() < CHUNK_ROWS && !at_end(&mut reader).map_err(Error::io("read a column"))? {
                values.push(file::read_tfhe::<V>(&mut reader, MAX_VALUE_BYTES, "a ciphertext")?);
            }
            all = match all {
                Some(all) if values.is_empty() => return Ok(all),
                Some(mut all) => {
                    let rows = all.rows();
                    all.append(&Self::convert(values, params, rows)?, || format!("row {rows} or later"))?;
                    Some(all)
                }
                None => Some(Self::convert(values, params, 0)?),
            };
        }
    }
}

fn at_end(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            buffer => return buffer.map(<[u8]>::is_empty),
        }
    }
}
