"""Models, configurations and endpoints of SageMaker's, as the tests make and call them."""

from harness import ROLE, unique


def sagemaker_arn(kind, name):
    return f"arn:aws:sagemaker:us-east-1:000000000000:{kind}/{name}"


def published(server, code, name=None):
    """A function with one published version."""
    name = name or unique()
    server.create(code, name=name, Publish=True)
    return name


def model_of(control, image, name=None, **more):
    name = name or unique("model")
    control.create_model(ModelName=name, PrimaryContainer={"Image": image, **more}, ExecutionRoleArn=ROLE)
    return name


def config_of(control, *variants, **more):
    """Variants: (name, model, weight)."""
    name = unique("config")
    control.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[
        {"VariantName": n, "ModelName": m, "InitialVariantWeight": w, "InstanceType": "ml.m5.large",
         "InitialInstanceCount": 1} for n, m, w in variants], **more)
    return name


def in_service(control, name):
    control.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})


def endpoint_of(control, config):
    name = unique("endpoint")
    control.create_endpoint(EndpointName=name, EndpointConfigName=config)
    in_service(control, name)
    return name


def call(runtime, endpoint, body=b"{}", **more):
    more.setdefault("ContentType", "application/json")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    answer["Body"] = answer["Body"].read()
    return answer
