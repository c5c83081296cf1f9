//! Header blocks: names and values, compressed with one context per direction of a connection.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::{dictionary::dictionary, frame::SpdyError};

/// Largest header block after decompression, in bytes.
const BLOCK_BYTES_MAX: usize = 64 << 10;

/// Names (lower case) and values of a stream, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Headers with the given names, which must be lower case, and values.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Compresses the header blocks that one side sends.
pub(super) struct HeaderEncoder(Compress);

impl HeaderEncoder {
    pub(super) fn new() -> Result<Self, SpdyError> {
        let mut compress = Compress::new(Compression::default(), true);
        compress
            .set_dictionary(&dictionary())
            .map_err(|_| SpdyError::Compression)?;
        Ok(Self(compress))
    }

    pub(super) fn encode(&mut self, headers: &Headers) -> Result<Vec<u8>, SpdyError> {
        let mut plain = BytesMut::new();
        put_length(&mut plain, headers.0.len());
        for (name, value) in &headers.0 {
            for text in [name, value] {
                put_length(&mut plain, text.len());
                plain.put_slice(text.as_bytes());
            }
        }
        let mut packed = Vec::with_capacity(plain.len() + 64);
        let (start, mut done) = (self.0.total_in(), 0);
        loop {
            let rest = plain.get(done..).unwrap_or_default();
            self.0
                .compress_vec(rest, &mut packed, FlushCompress::Sync)
                .map_err(|_| SpdyError::Compression)?;
            done = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            // Room left over means that the flush is complete.
            if done >= plain.len() && packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(256);
        }
    }
}

/// Decompresses the header blocks that one side receives.
pub(super) struct HeaderDecoder(Decompress);

impl HeaderDecoder {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn decode(&mut self, packed: &[u8]) -> Result<Headers, SpdyError> {
        parse(self.inflate(packed)?.into()).ok_or(SpdyError::Headers)
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut plain = Vec::with_capacity(1024);
        let start = self.0.total_in();
        loop {
            let done = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            let rest = packed.get(done..).unwrap_or_default();
            match self
                .0
                .decompress_vec(rest, &mut plain, FlushDecompress::Sync)
            {
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(&dictionary())
                        .map_err(|_| SpdyError::Headers)?;
                    continue;
                }
                Err(_) => return Err(SpdyError::Headers),
            }
            let done = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            if done >= packed.len() && plain.len() < plain.capacity() {
                return Ok(plain);
            }
            if plain.len() >= BLOCK_BYTES_MAX {
                return Err(SpdyError::Headers);
            }
            plain.reserve(1024);
        }
    }
}

fn parse(mut block: Bytes) -> Option<Headers> {
    let count = block.try_get_u32().ok()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push((text(&mut block)?, text(&mut block)?));
    }
    Some(Headers(pairs))
}

fn text(block: &mut Bytes) -> Option<String> {
    let length = usize::try_from(block.try_get_u32().ok()?).ok()?;
    (length <= block.len()).then(|| String::from_utf8(block.split_to(length).into()).ok())?
}

fn put_length(buffer: &mut BytesMut, length: usize) {
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_share_a_context_and_come_back_whole() {
        let (mut encoder, mut decoder) = (HeaderEncoder::new().unwrap(), HeaderDecoder::new());
        let first = Headers::new([("streamtype", "stdin")]);
        let long = "x".repeat(5000);
        for headers in [
            first.clone(),
            Headers::default(),
            Headers::new([("a", &*long)]),
            first,
        ] {
            let packed = encoder.encode(&headers).unwrap();
            assert_eq!(decoder.decode(&packed).unwrap(), headers);
        }
    }

    #[test]
    fn the_dictionary_is_the_one_of_the_protocol() {
        let mut compress = Compress::new(Compression::default(), true);
        assert_eq!(compress.set_dictionary(&dictionary()).unwrap(), 0xe3c6_a7c2);
        assert_eq!(dictionary().len(), 1423);
    }

    #[test]
    fn garbage_and_bombs_are_refused() {
        assert!(HeaderDecoder::new().decode(b"garbage").is_err());
        let bomb = Headers::new([("a", &*"x".repeat(BLOCK_BYTES_MAX))]);
        let packed = HeaderEncoder::new().unwrap().encode(&bomb).unwrap();
        assert!(HeaderDecoder::new().decode(&packed).is_err());
        assert_eq!(
            parse(Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 9, b'a'])),
            None
        );
    }
}
