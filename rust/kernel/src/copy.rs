//! Rows as PostgreSQL reads them from a client: the binary format of COPY.
//!
//! Source: PostgreSQL 17, COPY, "Binary Format"; a value is what its type's receive function takes.

/// Before the first row: signature, flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Behind the last row.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// What `jsonb` begins with: the version of its text.
const JSONB: &[u8] = &[1];

/// Rows of one table, written value by value.
#[derive(Debug)]
pub struct Copy {
    bytes: Vec<u8>,
}

impl Default for Copy {
    fn default() -> Self {
        Self { bytes: HEADER.to_vec() }
    }
}

impl Copy {
    /// Begins a row of so many values.
    pub fn begin(&mut self, values: i16) {
        self.bytes.extend_from_slice(&values.to_be_bytes());
    }

    /// A value as its type receives it: `text` as UTF-8, numbers big-endian, `uuid` as 16 bytes.
    pub fn push(&mut self, value: &[u8]) {
        self.push_parts([value]);
    }

    /// A value of type `jsonb`.
    pub fn push_jsonb(&mut self, text: &[u8]) {
        self.push_parts([JSONB, text]);
    }

    /// All rows, ready to be sent.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&TRAILER);
        self.bytes
    }

    fn push_parts<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() as i32;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}
