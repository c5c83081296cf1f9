//! A small HTTP server to try a cluster with: it says hello from its pod, and ends on SIGTERM.
//!
//! - `GET /` answers `hello from POD VERSION`; `GET /healthz` answers `ok`; else 404.
//! - `PORT` is the port (8080); `HELLO_VERSION` the version it tells (`v1`).

use std::{env, error::Error, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long a client may take to send its request.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Longest request head that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 16 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::var("PORT").map_or(Ok(8080), |port| port.parse())?;
    let version = env::var("HELLO_VERSION").unwrap_or_else(|_| "v1".to_owned());
    let pod = env::var("HOSTNAME").unwrap_or_else(|_| "nowhere".to_owned());
    let greeting: &'static str = format!("hello from {pod} {version}\n").leak();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    eprintln!("hello {version} listens on port {port}");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(timeout(REQUEST_MAX, answer(stream, greeting)));
            }
        }
    }
    eprintln!("hello {version} ends");
    Ok(())
}

/// Reads one request, answers it and hangs up.
async fn answer(mut stream: TcpStream, greeting: &'static str) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader.take(REQUEST_BYTES_MAX)).lines();
    let Some(request) = lines.next_line().await? else {
        return Ok(());
    };
    while lines
        .next_line()
        .await?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, body) = respond(&request, greeting);
    if !request.ends_with("healthz HTTP/1.1") {
        eprintln!("{request} {status}");
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await?;
    writer.write_all(body.as_bytes()).await?;
    writer.shutdown().await
}

fn respond<'a>(request: &str, greeting: &'a str) -> (&'static str, &'a str) {
    let mut words = request.split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some("/")) => ("200 OK", greeting),
        (Some("GET"), Some("/healthz")) => ("200 OK", "ok\n"),
        (Some("GET"), Some(_)) => ("404 Not Found", "there is / and /healthz\n"),
        _ => ("400 Bad Request", "only GET is understood\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::respond;

    #[test]
    fn each_path_has_its_answer() {
        assert_eq!(respond("GET / HTTP/1.1", "hi"), ("200 OK", "hi"));
        assert_eq!(respond("GET /healthz HTTP/1.1", "hi").1, "ok\n");
        assert_eq!(respond("GET /x HTTP/1.1", "hi").0, "404 Not Found");
        assert_eq!(respond("", "hi").0, "400 Bad Request");
    }
}
