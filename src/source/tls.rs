//! TLS towards mirrors: the system's authorities or an own one, and a client certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{ClientTls, Mirror, Settings, SourceError};

/// The TLS configuration for the mirrors of the settings.
///
/// # Errors
/// [`SourceError`] for a PEM file or a system store that cannot be used.
pub(super) fn client_config(settings: &Settings) -> Result<ClientConfig, SourceError> {
    let tls = settings.tls.clone().unwrap_or_default();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SourceError::Authorities(error.to_string()))?;
    let needs_authorities = settings.mirrors.iter().any(is_https);
    let builder = match &tls.ca {
        Some(ca) => builder.with_root_certificates(authorities(ca)?),
        None if needs_authorities => with_platform(builder)?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    with_client_certificate(builder, &tls)
}

/// Trusts the system's authorities.
fn with_platform(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, SourceError> {
    builder
        .with_platform_verifier()
        .map_err(|error| SourceError::Authorities(error.to_string()))
}

/// Shows the client certificate, when there is one.
fn with_client_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    tls: &ClientTls,
) -> Result<ClientConfig, SourceError> {
    match (&tls.client_certificate, &tls.client_key) {
        (Some(chain), Some(key)) => {
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, private)
                .map_err(|error| unusable(chain, &error))
        }
        (Some(lone), None) | (None, Some(lone)) => Err(SourceError::Tls {
            path: lone.clone(),
            reason: "client_certificate and client_key come together".to_owned(),
        }),
        (None, None) => Ok(builder.with_no_client_auth()),
    }
}

/// The authorities in a PEM file.
fn authorities(path: &Path) -> Result<RootCertStore, SourceError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| unusable(path, &error))?;
    }
    Ok(store)
}

/// The certificates in a PEM file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unusable(path, &error))?
        .collect();
    let read = read.map_err(|error| unusable(path, &error))?;
    if read.is_empty() {
        return Err(unusable(path, &"there is no certificate in it"));
    }
    Ok(read)
}

/// Whether a mirror is reached over https.
fn is_https(mirror: &Mirror) -> bool {
    matches!(mirror, Mirror::Http(base) if base.starts_with("https:"))
}

/// The error for a PEM file that cannot be used.
fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> SourceError {
    SourceError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
