//! `cordon explain`: one answer for every surface.

use std::net::IpAddr;

use clap::Args;

use super::commands::Configuration;
use crate::control::ExitError;
use crate::control::answers::offline;
use crate::control::configuration;
use crate::control::shown::Shown;
use crate::control::socket::Request;

/// What `cordon explain` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Explain {
    /// A name, a URL (with http:// or https:// in front) or an address.
    #[arg(value_name = "NAME|URL|ADDRESS")]
    asked: String,
    /// As this client would be answered.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// The type that would be asked over DNS.
    #[arg(long, value_name = "TYPE", default_value = "A")]
    r#type: String,
    /// For programs.
    #[arg(long)]
    json: bool,
    /// Without the daemon, from the lists on disk.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    configuration: Configuration,
}

/// Asks, and shows the answer.
pub(super) fn run(explain: &Explain) -> Result<(), ExitError> {
    let request = Request::Explain {
        asked: explain.asked.clone(),
        client: explain.client,
        rtype: explain.r#type.clone(),
    };
    let shown = if explain.offline {
        let config = configuration::load(&explain.configuration.config)?;
        offline::explain(&config, &explain.asked, explain.client, &explain.r#type)?
    } else {
        Shown::ask(
            &configuration::state(&explain.configuration.config)?,
            &request,
        )?
    };
    shown.print(explain.json);
    Ok(())
}
