using Microsoft.Extensions.Logging;

namespace VirtKit.Telemetry;

/// <summary>The host's logger, whose entries stand in the scope of a machine, whichever thread they come from, and whose exceptions end here: a full disk must not stop
/// a machine, and an exit must not get lost over the line that reports it.</summary>
internal sealed class MachineLogger(ILogger logger, string machine) : ILogger
{
    private readonly MachineScope _scope = new(machine);

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull
    {
        try
        {
            return logger.BeginScope(state);
        }
        catch (Exception)
        {
            return null;
        }
    }

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return logger.IsEnabled(logLevel);
        }
        catch (Exception)
        {
            return false;
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        try
        {
            using (logger.BeginScope(_scope))
                logger.Log(logLevel, eventId, state, exception, formatter);
        }
        catch (Exception)
        {
            // There is nobody else to tell.
        }
    }

    /// <summary>A scope that structured loggers take apart and others write as text.</summary>
    private sealed class MachineScope(string name) : List<KeyValuePair<string, object?>>([new("machine", name)])
    {
        public override string ToString() => $"machine:{this[0].Value}";
    }
}
