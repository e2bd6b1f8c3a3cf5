//! The client: owns the records and the secret key.

use anyhow::{Context, Result, ensure};
use fhe_core::{Batch, ClientKey, ParameterSet};

use crate::program::{BENIGN, VOTES};

/// What the client sends: nothing in it decrypts.
pub struct Request {
    /// The evaluation key, which computes but does not decrypt.
    pub evaluation_key: Vec<u8>,
    /// The encrypted records.
    pub batch: Vec<u8>,
}

/// What the client learns about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Trees that find it benign.
    pub votes: u8,
    /// Whether that is the majority.
    pub benign: bool,
}

/// A client with its own key.
pub struct Client {
    key: ClientKey,
}

impl Client {
    /// Draws a key; a simulated one protects nothing and is there at once.
    pub fn new(simulated: bool) -> Result<Self> {
        let parameters = ParameterSet::default();
        let key = if simulated { ClientKey::simulated(parameters) } else { ClientKey::generate(parameters)? };
        Ok(Self { key })
    }

    /// Encrypts the columns under their names.
    pub fn request(&self, columns: &[(&str, Vec<u8>)]) -> Result<Request> {
        let mut batch = Batch::new();
        for (name, values) in columns {
            batch.insert(name, self.key.encrypt(values)?)?;
        }
        let mut request = Request { evaluation_key: Vec::new(), batch: Vec::new() };
        self.key.evaluation_key()?.write(&mut request.evaluation_key)?;
        batch.write(&mut request.batch)?;
        Ok(request)
    }

    /// Decrypts what the server sent back.
    pub fn open(&self, outputs: &[u8]) -> Result<Vec<Answer>> {
        let batch = Batch::read(outputs).context("the answer of the server")?;
        let votes = self.key.decrypt::<u8>(batch.column(VOTES)?)?;
        let benign = self.key.decrypt::<bool>(batch.column(BENIGN)?)?;
        ensure!(votes.len() == benign.len(), "the outputs of the server differ in length");
        Ok(votes.into_iter().zip(benign).map(|(votes, benign)| Answer { votes, benign }).collect())
    }
}
