//! Who asks: what follows from a verified credential. Verifying signatures is done where the keys are.

pub mod bootstrap_token;
pub mod impersonation;
pub mod oidc;
pub mod service_account_token;
pub mod token_file;
