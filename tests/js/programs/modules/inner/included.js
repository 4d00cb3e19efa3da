exports.included = function () { return "included"; };
