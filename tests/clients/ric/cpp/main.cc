// A function on AWS's runtime client for C++, as its documentation writes one.
#include <aws/lambda-runtime/runtime.h>

using aws::lambda_runtime::invocation_request;
using aws::lambda_runtime::invocation_response;

static invocation_response Handler(const invocation_request& request) {
  if (request.payload == "\"fail\"") return invocation_response::failure("as asked", "Asked", "");
  return invocation_response::success("{\"client\": \"cpp\", \"event\": " + request.payload +
                                          ", \"request_id\": \"" + request.request_id +
                                          "\", \"arn\": \"" + request.function_arn + "\"}",
                                      "application/json");
}

int main() { aws::lambda_runtime::run_handler(Handler); }
