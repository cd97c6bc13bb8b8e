//! The client against replies of every kind, stock's quirks above all (gass.md §3.1, §4).

use super::reply::next_location;
use super::*;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one connection after another with these bytes; gives the requests seen.
async fn serve(replies: Vec<String>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let chunked = |request: &[u8]| request.windows(7).any(|part| part == b"chunked");
            while !request.ends_with(if chunked(&request) { b"0\r\n\r\n".as_slice() } else { b"\r\n\r\n" }) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(reply.replace("PORT", &port.to_string()).as_bytes()).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (port, serving)
}

fn url(port: u16, path: &str) -> Url {
    format!("http://127.0.0.1:{port}{path}").parse().unwrap()
}

async fn get(replies: &[&str]) -> Result<String, GassError> {
    let (port, serving) = serve(replies.iter().map(|&reply| reply.to_owned()).collect()).await;
    let mut data = Vec::new();
    let result = Client::insecure().get(&url(port, "/f"), &Expect::Anyone, &mut data).await;
    serving.abort();
    result.map(|_| String::from_utf8(data).unwrap())
}

#[tokio::test]
async fn bodies_of_every_kind() {
    for (reply, expected) in [
        ("HTTP/1.0 200 Ok\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        // Stock, of an empty file: no length at all.
        ("HTTP/1.0 200 Ok\r\nConnection: close\r\n\r\n", ""),
        ("HTTP/1.0 200 Ok\r\n\r\nuntil the end", "until the end"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n", "abc"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a"),
        ("HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na", "a"),
    ] {
        assert_eq!(get(&[reply]).await.unwrap(), expected, "{reply:?}");
    }
}

/// The stock client stores these as complete files (gass.md §3.1).
#[tokio::test]
async fn broken_bodies_are_noticed() {
    for reply in [
        "HTTP/1.0 200 Ok\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ] {
        let error = get(&[reply]).await.unwrap_err();
        assert!(matches!(error, GassError::Truncated { .. }), "{reply:?}: {error}");
    }
    for reply in ["", "garbage\r\n\r\n"] {
        let error = get(&[reply]).await.unwrap_err();
        assert!(matches!(error, GassError::Protocol { .. }), "{reply:?}: {error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(10 * MAX_HEADERS));
    assert!(matches!(get(&[&endless]).await.unwrap_err(), GassError::Protocol { .. }));
}

#[tokio::test]
async fn refusals_keep_status_and_reason() {
    // Stock announces 25 bytes more than it sends.
    let reply = "HTTP/1.1 404 File Not Found\r\nContent-Length: 128\r\n\r\n<html></html>";
    match get(&[reply]).await.unwrap_err() {
        GassError::Refused { status, reason, .. } => {
            assert_eq!((status, reason.as_str()), (404, "File Not Found"));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn redirects_are_followed_within_limits() {
    let moved = "HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:PORT/g\r\nContent-Length: 0\r\n\r\n";
    let relative = "HTTP/1.1 302 Moved\r\nLocation: /h\r\nContent-Length: 0\r\n\r\n";
    let done = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    let (port, serving) = serve([moved, relative, done].map(str::to_owned).to_vec()).await;
    let mut data = Vec::new();
    Client::insecure().get(&url(port, "/f"), &Expect::Anyone, &mut data).await.unwrap();
    assert_eq!(data, b"a");
    let paths: Vec<String> =
        serving.await.unwrap().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths, ["/f", "/g", "/h"]);

    let error = get(&[moved; MAX_REDIRECTS + 1]).await.unwrap_err();
    assert!(matches!(error, GassError::Redirect { .. }), "{error}");
    let error = get(&["HTTP/1.1 302 Moved\r\nLocation: file:///etc/passwd\r\n\r\n"]).await.unwrap_err();
    assert!(matches!(error, GassError::Redirect { .. }), "{error}");
    let error = get(&["HTTP/1.1 302 Moved\r\nContent-Length: 0\r\n\r\n"]).await.unwrap_err();
    assert!(matches!(error, GassError::Refused { status: 302, .. }), "{error}");
}

#[test]
fn https_is_not_left() {
    let from: Url = "https://h/f".parse().unwrap();
    let reply = |location: &str| {
        // Only hyper can make an `Incoming`; the decision needs the headers alone.
        let mut headers = hyper::HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        next_location(&from, &headers)
    };
    assert!(matches!(reply("http://h/f"), Some(Err(GassError::Redirect { .. }))));
    assert_eq!(reply("https://i/f").unwrap().unwrap().1, "i");
}

/// Byte for byte what the stock server is used to (gass.md §3), but for the name.
#[tokio::test]
async fn requests_are_those_of_the_stock_client() {
    let done = "HTTP/1.0 200 Ok\r\nConnection: close\r\n\r\n".to_owned();
    let (port, serving) = serve(vec![done; 4]).await;
    let client = Client::insecure();
    client.get(&url(port, "/a/b c.txt"), &Expect::Anyone, &mut Vec::new()).await.unwrap();
    client.put(&url(port, "/x"), &Expect::Anyone, &mut b"abc".as_slice()).await.unwrap();
    client.put(&url(port, "/x"), &Expect::Anyone, &mut b"".as_slice()).await.unwrap();
    client.append(&url(port, "/dev/stdout"), &Expect::Anyone, &mut b"abc".as_slice()).await.unwrap();
    insta::assert_snapshot!(serving.await.unwrap().join("\n----\n").replace('\r', ""));
}

#[tokio::test]
async fn an_upload_is_judged_by_its_reply() {
    for (reply, status) in [
        ("HTTP/1.0 200 Ok\r\n\r\n", None),
        ("HTTP/1.1 201 Created\r\n\r\n", None),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 119\r\n\r\n<html>", Some(400)),
        ("HTTP/1.1 302 Moved\r\nLocation: /x\r\n\r\n", Some(302)),
    ] {
        let (port, serving) = serve(vec![reply.to_owned()]).await;
        let result = Client::insecure().put(&url(port, "/x"), &Expect::Anyone, &mut b"abc".as_slice()).await;
        serving.await.unwrap();
        match (result, status) {
            (Ok(3), None) => {}
            (Err(GassError::Refused { status, .. }), Some(expected)) => assert_eq!(status, expected),
            (other, _) => panic!("{reply:?}: {other:?}"),
        }
    }
    let (port, serving) = serve(vec![String::new()]).await;
    let result = Client::insecure().put(&url(port, "/x"), &Expect::Anyone, &mut b"abc".as_slice()).await;
    serving.await.unwrap();
    assert!(matches!(result, Err(GassError::Protocol { .. })), "{result:?}");
}

/// A file that cannot be read to its end must not look complete to the server.
#[tokio::test]
async fn a_failing_source_breaks_the_upload_off() {
    struct Failing(bool);
    impl AsyncRead for Failing {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                return std::task::Poll::Ready(Err(io::Error::other("disk on fire")));
            }
            buffer.put_slice(b"abc");
            std::task::Poll::Ready(Ok(()))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap().port(), "/x");
    let seeing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let _ = stream.read_to_end(&mut request).await;
        request
    });
    let error = Client::insecure().put(&url, &Expect::Anyone, &mut Failing(false)).await.unwrap_err();
    assert!(error.to_string().contains("disk on fire"), "{error}");
    assert!(!seeing.await.unwrap().ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn what_cannot_be_reached_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = Client::insecure();
    let fetch = async |url: &str| {
        client.get(&url.parse().unwrap(), &Expect::Anyone, &mut Vec::new()).await.unwrap_err()
    };
    assert!(matches!(fetch(&format!("http://127.0.0.1:{port}/")).await, GassError::Unreachable { .. }));
    assert!(matches!(fetch("file:///etc/passwd").await, GassError::BadUrl { .. }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(matches!(fetch(&format!("https://127.0.0.1:{port}/")).await, GassError::NoCredential { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap().port(), "/x");
    let error = Client::insecure().get(&url, &Expect::Anyone, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, GassError::TimedOut { .. }), "{error}");
}

/// Stock answers a refused upload and closes on the data that is still coming, which resets the connection.
#[tokio::test]
async fn a_refusal_is_read_although_the_connection_was_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap().port(), "/x");
    let refusing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // So much is on the way that closing leaves data unread.
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 119\r\n\r\n<html>").await.unwrap();
    });
    let data = vec![b'x'; 16 * 1024 * 1024];
    let error = Client::insecure().put(&url, &Expect::Anyone, &mut data.as_slice()).await.unwrap_err();
    refusing.await.unwrap();
    assert!(matches!(error, GassError::Refused { status: 400, .. }), "{error}");
}

/// A server may close a kept connection whenever it likes; nobody is to notice.
#[tokio::test]
async fn a_kept_connection_that_is_gone_is_replaced() {
    let reply = "HTTP/1.1 200 OK\r\nServer: Gridiron-GASS/9\r\nContent-Length: 1\r\n\r\na".to_owned();
    // It says nothing of closing, and does.
    let (port, serving) = serve(vec![reply; 5]).await;
    let client = Client::insecure();
    for _ in 0..5 {
        let mut data = Vec::new();
        client.get(&url(port, "/f"), &Expect::Anyone, &mut data).await.unwrap();
        assert_eq!(data, b"a");
    }
    let requests = serving.await.unwrap();
    let closing = requests.iter().filter(|request| request.contains("Connection: close")).count();
    assert_eq!((requests.len(), closing), (5, 1), "only the first goes to a stranger");
}

#[tokio::test]
async fn strangers_list_nothing() {
    let reply =
        "HTTP/1.1 404 File Not Found\r\nServer: Globus-GASS-HTTP/1.1.0\r\nContent-Length: 128\r\n\r\n<html>";
    let (port, serving) = serve(vec![reply.to_owned()]).await;
    let client = Client::insecure();
    let directory = url(port, "/d/");
    let error = client.list(&directory, &Expect::Anyone).await.unwrap_err();
    assert!(matches!(error, GassError::Unable { .. }), "{error}");
    let error = client.make_directory(&directory, &Expect::Anyone).await.unwrap_err();
    assert!(matches!(error, GassError::Unable { .. }), "{error}");
    let requests = serving.await.unwrap();
    assert!(requests.iter().all(|request| request.starts_with("GET / HTTP/1.1\r\n")), "{requests:?}");
}
