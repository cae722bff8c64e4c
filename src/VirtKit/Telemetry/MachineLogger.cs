using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace VirtKit.Telemetry;

/// <summary>Logs in the scope of a machine, whichever thread an entry comes from.</summary>
internal sealed class MachineLogger : ILogger
{
    private readonly ILogger _inner;
    private readonly MachineScope _scope;

    private MachineLogger(ILogger inner, string machine) => (_inner, _scope) = (inner, new MachineScope(machine));

    /// <summary>The logger of a machine.</summary>
    public static ILogger Create(ILogger inner, string machine) => inner is NullLogger ? inner : new MachineLogger(inner, machine);

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => _inner.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => _inner.IsEnabled(logLevel);

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        using (_inner.BeginScope(_scope))
            _inner.Log(logLevel, eventId, state, exception, formatter);
    }

    /// <summary>A scope that structured loggers take apart and others write as text.</summary>
    private sealed class MachineScope(string name) : List<KeyValuePair<string, object?>>([new("machine", name)])
    {
        public override string ToString() => $"machine:{this[0].Value}";
    }
}
