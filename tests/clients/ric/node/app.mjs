export const handler = async (event, context) => {
  if (event === 'fail') throw new RangeError('as asked');
  return {client: 'node', event, request_id: context.awsRequestId, arn: context.invokedFunctionArn};
};
