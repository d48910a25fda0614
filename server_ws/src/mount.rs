//! A circle at a path of an existing web server, whose address, TLS and middleware it shares.
//!
//! Every page under the server's origin counts as the circle's own. Two circles of one server have one authority, and
//! clients tell them apart by their identities, so give each a [persistent one](crate::CircleBuilder::identity).
//! The circle answers to [`hosts`](crate::CircleBuilder::hosts) alone, and serves nothing but its WebSocket there.

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
