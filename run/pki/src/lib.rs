//! The cluster's keys: its certificate authority, the certificates it issues, service-account tokens, kubeconfigs.
//!
//! Everything lives as PEM files under one directory, made at first start and readable by the owner only. Certificates
//! of the process itself are issued anew at each start and renewed in place; only the authority and the token key last.

pub mod authority;
pub mod kubeconfig;
pub mod renewal;
mod request;
pub mod serving;
pub mod token;

pub use authority::{Authority, Identity, PkiError};
pub use renewal::Renewal;
pub use serving::CurrentCertificate;
pub use token::TokenKey;
