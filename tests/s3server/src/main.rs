//! `terravec-s3server ROOT ID SECRET`: the folders of ROOT as buckets, for who signs with these keys, until it is stopped.

use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, id, secret] = args.as_slice() else { return Err("write ROOT ID SECRET".into()) };
    let files = s3s_fs::FileSystem::new(root).map_err(|e| format!("{root}: {e:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(id.clone(), secret.clone()));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    // The one line a caller waits for.
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let http = Builder::new(hyper_util::rt::TokioExecutor::new());
            // A client that goes away is no failure.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
