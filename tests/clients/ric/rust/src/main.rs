// A function on the Lambda runtime client for Rust, as its documentation writes one.
use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    if payload == json!("fail") {
        return Err("as asked".into());
    }
    Ok(json!({"client": "rust", "event": payload, "request_id": context.request_id,
              "arn": context.invoked_function_arn}))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handler)).await
}
