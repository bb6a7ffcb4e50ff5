def handler(event, context):
    if event == "fail":
        raise ValueError("as asked")
    return {"client": "python", "event": event, "request_id": context.aws_request_id,
            "arn": context.invoked_function_arn}
