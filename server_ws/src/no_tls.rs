//! The certificate of a circle without the feature `tls`, of which there is none.

/// A certificate that cannot exist, in place of the public type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsCertificate {}

impl TlsCertificate {
    pub(crate) fn acceptor(&self) -> Self {
        match *self {}
    }
}
