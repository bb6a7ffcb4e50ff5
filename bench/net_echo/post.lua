-- What an AWS client sends with a small event.
wrk.method = "POST"
wrk.body = '{"key1": "value1", "key2": [1, 2, 3]}'
wrk.headers["Content-Type"] = "application/x-amz-json-1.0"
wrk.headers["User-Agent"] = "Boto3/1.35.0 md/Botocore#1.35.0 ua/2.0 os/linux#6.1.0 md/arch#x86_64"
wrk.headers["X-Amz-Date"] = "20261124T152116Z"
wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
